// The Unix socket of the server: who has it, and who may use it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace faced {

// Connections that wait to be accepted.
constexpr int kBacklog = 16;

class ListeningSocket {
 public:
  // Takes over a socket that a server left behind when it was killed. Throws Failure when a server is using it, or when
  // the path is something else.
  ListeningSocket(const std::string& path, mode_t mode, gid_t group);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  int fd() const { return fd_; }

 private:
  std::string path_;
  int lock_ = -1;
  int fd_ = -1;
};

// The user at the other end, as the kernel saw it when it connected; false when the kernel does not say.
bool peer_user(int fd, uid_t& user);

// sd_notify(3) without libsystemd. Nothing happens without NOTIFY_SOCKET.
void tell_systemd(const std::string& state);
// Milliseconds between signs of life that systemd's watchdog is content with; 0 without a watchdog.
int watchdog_ms();

}  // namespace faced
