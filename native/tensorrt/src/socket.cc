#include "socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "engine.h"

namespace faced {
namespace {

sockaddr_un address_of(const std::string& path, socklen_t& length) {
  sockaddr_un address;
  std::memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw Failure("the path of the socket may have 1 to 107 characters: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

}  // namespace

ListeningSocket::ListeningSocket(const std::string& path, mode_t mode, gid_t group) : path_(path) {
  socklen_t length = 0;
  const sockaddr_un address = address_of(path, length);
  // The lock ends with its process, however that ends; so whoever has it may remove what is left of the other.
  lock_ = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ < 0) throw Failure(path + ".lock: " + std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    throw Failure("another server is using " + path + ": stop that one, or choose another --socket");
  }
  struct stat facts;
  if (::lstat(path.c_str(), &facts) == 0) {
    if (!S_ISSOCK(facts.st_mode)) {
      ::close(lock_);
      throw Failure(path + " is there and is not a socket: move it away, or choose another --socket");
    }
    ::unlink(path.c_str());
  }
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // Nobody may connect before the permissions are right.
  const mode_t before = ::umask(0777);
  const bool bound = fd_ >= 0 && ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  const int problem = errno;
  ::umask(before);
  const bool listening = bound && (group == static_cast<gid_t>(-1) || ::chown(path.c_str(), static_cast<uid_t>(-1), group) == 0) &&
                         ::chmod(path.c_str(), mode) == 0 && ::listen(fd_, kBacklog) == 0;
  if (!listening) {
    const std::string why = std::strerror(bound ? errno : problem);
    if (fd_ >= 0) ::close(fd_);
    ::close(lock_);
    throw Failure(path + ": " + why);
  }
}

ListeningSocket::~ListeningSocket() {
  ::unlink(path_.c_str());
  ::close(fd_);
  // The lock's file stays: without it two servers could each lock a file of that name.
  ::close(lock_);
}

bool peer_user(int fd, uid_t& user) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return false;
  user = peer.uid;
  return true;
}

void tell_systemd(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address;
  std::memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  // A name that begins with @ is an abstract one: its first byte is zero.
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  const ssize_t sent = ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(&address), length);
  (void)sent;
  ::close(fd);
}

int watchdog_ms() {
  const char* pid = std::getenv("WATCHDOG_PID");
  const char* period = std::getenv("WATCHDOG_USEC");
  if (period == nullptr || (pid != nullptr && std::atol(pid) != static_cast<long>(::getpid()))) return 0;
  const long long ms = std::atoll(period) / 1000;
  return ms < 3 || ms > 86400000 ? 0 : static_cast<int>(ms / 3);
}

}  // namespace faced
