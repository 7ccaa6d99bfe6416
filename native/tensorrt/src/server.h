// Serves one model to several clients, one request at a time: the GPU takes no more.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "socket.h"
#include "wire.h"

namespace faced {

struct ServerOptions {
  // Who may connect, besides root and the server's own user.
  std::vector<uid_t> users;
  std::size_t most_clients = 8;
  // For the rest of a frame that has begun, and for taking an answer.
  int patience_ms = 10000;
};

class Server {
 public:
  Server(ServedModel& model, ListeningSocket& socket, const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Until `stop_fd` becomes readable. Throws Failure when the engine fails again and again.
  void serve(int stop_fd);

 private:
  using Clock = std::chrono::steady_clock;

  struct Client {
    int fd = -1;
    // Set for whoever may not stay: told in answer to its first header, since one who is still writing reads nothing.
    const char* turned_away = nullptr;
    std::string reason;
    bool greeted = false;
    // Ends when its answer is sent.
    bool leaving = false;
    Header header{};
    std::size_t header_have = 0;
    std::vector<char> body;
    std::size_t body_have = 0;
    std::string answer;
    std::size_t sent = 0;
    // When the frame began, or the answer; for one who may not stay, when it came.
    Clock::time_point since;

    bool reading() const { return header_have > 0; }
    bool writing() const { return sent < answer.size(); }
  };

  void accept_clients();
  // False when the client is gone, or has to go.
  bool read_from(Client& client);
  bool write_to(Client& client);
  bool check_header(Client& client);
  void handle(Client& client);
  void handle_run(Client& client);
  void run_failed(Client& client, const char* why);
  void reply(Client& client, std::string bytes);
  std::size_t staying() const;
  void refuse(Client& client, const char* code, const std::string& message);
  bool late(const Client& client) const;
  std::string hello() const;
  std::string health() const;

  ServedModel& model_;
  ListeningSocket& socket_;
  ServerOptions options_;
  std::size_t most_body_;
  std::vector<std::unique_ptr<Client>> clients_;
  Clock::time_point started_ = Clock::now();
  // Before that nothing is said of those who are turned away.
  Clock::time_point next_word_;
  std::uint64_t runs_ = 0;
  std::uint64_t pictures_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t last_us_ = 0;
  std::uint64_t total_us_ = 0;
  int failures_in_a_row_ = 0;
};

}  // namespace faced
