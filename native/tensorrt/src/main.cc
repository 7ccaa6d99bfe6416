// faced-tensorrt: runs one network for faced, behind a Unix socket (PROTOCOL.md).
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "server.h"

namespace {

using faced::Failure;

const char* const kUsage =
    "usage: faced-tensorrt --model FILE [--socket PATH] [--allow-user NAME]... [--group NAME]\n"
    "                      [--max-clients N] [--patience MS] [--version] [--help]\n"
    "  --model FILE       the engine; it and its folder belong to root. FILE.json says what it was made from and where\n"
    "  --socket PATH      default /run/faced-tensorrt/tensorrt.sock\n"
    "  --allow-user NAME  who may connect besides root and this program's own user; a name or a number\n"
    "  --group NAME       the socket's group; its members reach the socket, and still need --allow-user\n"
    "  --max-clients N    1 to 64, default 8\n"
    "  --patience MS      for the rest of a frame and for taking an answer, default 10000\n";

struct Arguments {
  std::string model;
  std::string socket = "/run/faced-tensorrt/tensorrt.sock";
  gid_t group = static_cast<gid_t>(-1);
  faced::ServerOptions server;
};

long number(const char* text, long least, long most, const char* option) {
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
    throw Failure(std::string(option) + " must be " + std::to_string(least) + " to " + std::to_string(most) + " (is " + text + ")");
  return value;
}

bool is_number(const char* text) { return *text != '\0' && std::strspn(text, "0123456789") == std::strlen(text); }

uid_t user_of(const char* name) {
  if (is_number(name)) return static_cast<uid_t>(number(name, 0, 4294967294L, "--allow-user"));
  const struct passwd* entry = ::getpwnam(name);
  if (entry == nullptr) throw Failure(std::string("there is no user ") + name);
  return entry->pw_uid;
}

gid_t group_of(const char* name) {
  if (is_number(name)) return static_cast<gid_t>(number(name, 0, 4294967294L, "--group"));
  const struct group* entry = ::getgrnam(name);
  if (entry == nullptr) throw Failure(std::string("there is no group ") + name);
  return entry->gr_gid;
}

Arguments parse(int argc, char** argv) {
  const struct option options[] = {
      {"model", required_argument, nullptr, 'm'},       {"socket", required_argument, nullptr, 's'},
      {"allow-user", required_argument, nullptr, 'u'},  {"group", required_argument, nullptr, 'g'},
      {"max-clients", required_argument, nullptr, 'c'}, {"patience", required_argument, nullptr, 'p'},
      {"version", no_argument, nullptr, 'v'},           {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  for (int choice = 0; (choice = ::getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (choice) {
      case 'm':
        arguments.model = optarg;
        break;
      case 's':
        arguments.socket = optarg;
        break;
      case 'u':
        arguments.server.users.push_back(user_of(optarg));
        break;
      case 'g':
        arguments.group = group_of(optarg);
        break;
      case 'c':
        arguments.server.most_clients = static_cast<std::size_t>(number(optarg, 1, 64, "--max-clients"));
        break;
      case 'p':
        arguments.server.patience_ms = static_cast<int>(number(optarg, 100, 600000, "--patience"));
        break;
      case 'v':
        std::printf("{\"protocol\":%d,\"engine\":\"%s\",\"engineVersion\":\"%s\",\"board\":\"%s\"}\n", faced::kVersion,
                    faced::engine_kind(), faced::engine_version().c_str(), faced::board_name("").c_str());
        std::exit(0);
      case 'h':
        std::fputs(kUsage, stdout);
        std::exit(0);
      default:
        std::fputs(kUsage, stderr);
        std::exit(2);
    }
  }
  if (arguments.model.empty() || optind != argc) {
    std::fputs(kUsage, stderr);
    std::exit(2);
  }
  return arguments;
}

int stop_signals() {
  // Whoever reads the log may go away; that is no reason to end.
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Before any library starts a thread, so that every thread leaves them to us.
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse(argc, argv);
    const int stop_fd = stop_signals();
    if (stop_fd < 0) throw Failure(std::string("signalfd: ") + std::strerror(errno));
    // First, so that a second server says so before it takes the GPU's memory.
    faced::ListeningSocket socket(arguments.socket, arguments.group == static_cast<gid_t>(-1) ? 0600 : 0660, arguments.group);
    faced::ServedModel model = faced::open_model(arguments.model);
    faced::Server server(model, socket, arguments.server);
    const faced::EngineInfo& info = model.engine->info();
    std::fprintf(stderr, "faced-tensorrt: %s %s on %s serves %s (%s) at %s\n", info.kind.c_str(), info.version.c_str(),
                 model.board.c_str(), arguments.model.c_str(), model.precision.c_str(), arguments.socket.c_str());
    faced::tell_systemd("READY=1");
    server.serve(stop_fd);
    faced::tell_systemd("STOPPING=1");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "faced-tensorrt: %s\n", error.what());
    return 1;
  }
}
