#include "model.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "json.h"
#include "sha256.h"

namespace faced {
namespace {

// A recogniser of 500 MB is larger than what these boards hold.
constexpr off_t kMostBytes = 512 * 1024 * 1024;
constexpr off_t kMostNoteBytes = 64 * 1024;

class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// An engine is a program: whoever may write it, or put another in its place, runs code as this server.
void check_owner(const struct stat& facts, const std::string& path) {
  if (facts.st_uid != 0 || (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw Failure(path + " must belong to root, and only root may write it: chown root, chmod go-w");
}

void check_folder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  struct stat facts;
  if (::stat(folder.c_str(), &facts) != 0) throw Failure(folder + ": " + std::strerror(errno));
  // In a folder like /tmp only the owner may replace a file.
  if ((facts.st_mode & S_ISVTX) != 0 && facts.st_uid == 0) return;
  check_owner(facts, folder);
}

std::vector<char> read_file(const std::string& path, off_t most) {
  const File file(path);
  if (file.fd() < 0) throw Failure(path + ": " + std::strerror(errno));
  struct stat facts;
  if (::fstat(file.fd(), &facts) != 0) throw Failure(path + ": " + std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) throw Failure(path + " is not a file");
  check_owner(facts, path);
  if (facts.st_size <= 0 || facts.st_size > most) throw Failure(path + " is empty, or too large");
  std::vector<char> bytes(static_cast<std::size_t>(facts.st_size));
  for (std::size_t have = 0; have < bytes.size();) {
    const ssize_t got = ::read(file.fd(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Failure(path + " could not be read whole");
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

std::string text_of(const char* path) {
  const File file(path);
  if (file.fd() < 0) return "";
  char text[256];
  const ssize_t got = ::read(file.fd(), text, sizeof text);
  if (got <= 0) return "";
  std::string name(text, static_cast<std::size_t>(got));
  // Strings of a device tree end with a zero byte.
  const std::size_t end = name.find_last_not_of(std::string("\0\n ", 3));
  return end == std::string::npos ? "" : name.substr(0, end + 1);
}

}  // namespace

std::string board_name(const std::string& gpu) {
  const std::string model = text_of("/proc/device-tree/model");
  if (!model.empty()) return model;
  return gpu.empty() ? "unknown" : gpu;
}

ServedModel open_model(const std::string& path) {
  check_folder(path);
  const std::vector<char> bytes = read_file(path, kMostBytes);
  ServedModel model;
  model.file_sha256 = sha256(bytes);
  model.model_sha256 = model.file_sha256;
  model.precision = "fp32";
  struct stat facts;
  const std::string note_path = path + ".json";
  const bool noted = ::lstat(note_path.c_str(), &facts) == 0 || errno != ENOENT;
  const bool is_engine = std::string(engine_kind()) == "tensorrt";
  if (!noted && is_engine)
    throw Failure(path + " has no note " + note_path + ": make it with `faced model engine`, which writes both");
  std::string note_board;
  if (noted) {
    const std::vector<char> raw = read_file(note_path, kMostNoteBytes);
    const std::string note(raw.begin(), raw.end());
    const std::string version = json_member(note, "tensorrt");
    note_board = json_member(note, "board");
    if (json_member(note, "sha256") != model.file_sha256)
      throw Failure(path + " is not the file that " + note_path + " describes: make the engine again");
    if (is_engine && (version.empty() || note_board.empty()))
      throw Failure(note_path + " does not say by which TensorRT and on which board " + path +
                    " was made: make it again on this board with `faced model engine`");
    // Before the file is loaded: a library may refuse what another version wrote, or crash on it.
    if (!version.empty() && version != engine_version())
      throw Failure(path + " was made by TensorRT " + version + " and this is " + engine_version() +
                    ": make it again on this board with `faced model engine`");
    if (!json_member(note, "model").empty()) model.model_sha256 = json_member(note, "model");
    model.derived_from = json_member(note, "derivedFrom");
    if (!json_member(note, "precision").empty()) model.precision = json_member(note, "precision");
    const std::string here = board_name("");
    if (!note_board.empty() && here != "unknown" && note_board != here)
      throw Failure(path + " was made on another board (" + note_board + ", this is " + here +
                    "): make it again on this one with `faced model engine`");
  }
  model.engine = open_engine(bytes);
  model.board = board_name(model.engine->info().device);
  if (!note_board.empty() && note_board != model.board)
    throw Failure(path + " was made on another board (" + note_board + ", this is " + model.board +
                  "): make it again on this one with `faced model engine`");
  return model;
}

}  // namespace faced
