#include "server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "json.h"

namespace faced {
namespace {

// A GPU whose context is broken fails for ever: a new process begins with a new one.
constexpr int kMostFailuresInARow = 3;
constexpr unsigned kPauseAfterFailureUs = 50000;
constexpr std::size_t kMostTurnedAway = 8;
// Of one picture, so that the length of a whole batch fits its 32 bits.
constexpr std::size_t kMostElements = std::size_t{1} << 24;

// 64 bits: in 32 a board that has been up for 25 days would count backwards.
std::int64_t milliseconds(std::chrono::steady_clock::duration time) {
  return static_cast<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

bool finite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

Server::Server(ServedModel& model, ListeningSocket& socket, const ServerOptions& options)
    : model_(model),
      socket_(socket),
      options_(options),
      most_body_(sizeof(std::uint32_t) + kMostPictures * model.engine->info().input.elements() * sizeof(float)) {
  const EngineInfo& info = model.engine->info();
  std::size_t answer = 0;
  for (const TensorInfo& output : info.outputs) answer += output.elements();
  if (info.input.elements() > kMostElements || answer > kMostElements)
    throw Failure("the network's tensors are larger than the protocol allows");
}

Server::~Server() {
  for (const std::unique_ptr<Client>& client : clients_) ::close(client->fd);
}

void Server::serve(int stop_fd) {
  const int sign_ms = watchdog_ms();
  Clock::time_point next_sign = Clock::now();
  for (;;) {
    if (sign_ms > 0 && Clock::now() >= next_sign) {
      tell_systemd("WATCHDOG=1");
      next_sign = Clock::now() + std::chrono::milliseconds(sign_ms);
    }
    std::vector<pollfd> waiting;
    waiting.push_back({stop_fd, POLLIN, 0});
    waiting.push_back({socket_.fd(), POLLIN, 0});
    bool timed = sign_ms > 0;
    for (const std::unique_ptr<Client>& client : clients_) {
      // Whoever does not take its answer is not asked for another question.
      waiting.push_back({client->fd, static_cast<short>(client->writing() ? POLLOUT : POLLIN), 0});
      timed = timed || client->writing() || client->reading() || client->turned_away != nullptr;
    }
    const int patience = std::min(options_.patience_ms, sign_ms > 0 ? sign_ms : options_.patience_ms);
    if (::poll(waiting.data(), waiting.size(), timed ? std::max(1, patience / 4) : -1) < 0 && errno != EINTR)
      throw Failure(std::string("poll: ") + std::strerror(errno));
    if (waiting[0].revents != 0) return;
    // One step each, so that no client keeps the others waiting for more than one request.
    for (std::size_t at = 0; at < clients_.size(); at++) {
      Client& client = *clients_[at];
      const short ready = waiting[at + 2].revents;
      bool stays = !late(client);
      if (stays && ready != 0) stays = client.writing() ? write_to(client) : read_from(client);
      if (stays) continue;
      ::close(client.fd);
      client.fd = -1;
    }
    clients_.erase(std::remove_if(clients_.begin(), clients_.end(),
                                  [](const std::unique_ptr<Client>& client) { return client->fd < 0; }),
                   clients_.end());
    if (waiting[1].revents != 0) accept_clients();
  }
}

void Server::accept_clients() {
  // No more than wait at a time, so that whoever connects again and again does not keep the others from being served.
  for (int taken = 0; taken < kBacklog; taken++) {
    const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Out of descriptors or memory, the next poll would come back at once, and again.
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) ::usleep(kPauseAfterFailureUs);
      return;
    }
    uid_t user = 0;
    const bool known = peer_user(fd, user);
    const bool allowed = known && (user == 0 || user == ::geteuid() ||
                                   std::find(options_.users.begin(), options_.users.end(), user) != options_.users.end());
    const bool turned_away = !allowed || staying() >= options_.most_clients;
    // Those who are only waiting to hear why not are few as well, and take nobody's place.
    if (turned_away && clients_.size() - staying() >= kMostTurnedAway) {
      ::close(fd);
      continue;
    }
    clients_.emplace_back(new Client);
    Client& client = *clients_.back();
    client.fd = fd;
    client.since = Clock::now();
    if (!turned_away) continue;
    client.turned_away = allowed ? "busy" : "refused";
    client.reason = allowed ? std::to_string(options_.most_clients) + " clients are connected already"
                            : "user " + std::to_string(user) + " may not use this server: --allow-user names those who may";
    // The health counts them all; the log is not theirs to fill.
    if (client.since < next_word_) continue;
    next_word_ = client.since + std::chrono::seconds(1);
    std::fprintf(stderr, "faced-tensorrt: a client was turned away: %s\n", client.reason.c_str());
  }
}

std::size_t Server::staying() const {
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), [](const std::unique_ptr<Client>& client) {
    return client->turned_away == nullptr;
  }));
}

bool Server::late(const Client& client) const {
  const bool limited = client.writing() || client.reading() || client.turned_away != nullptr;
  return limited && milliseconds(Clock::now() - client.since) > options_.patience_ms;
}

bool Server::read_from(Client& client) {
  char* into = reinterpret_cast<char*>(&client.header) + client.header_have;
  std::size_t room = kHeaderBytes - client.header_have;
  const bool in_header = room > 0;
  if (!in_header) {
    into = client.body.data() + client.body_have;
    room = client.body.size() - client.body_have;
  }
  const ssize_t got = ::recv(client.fd, into, room, 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  if (!client.reading() && client.turned_away == nullptr) client.since = Clock::now();
  if (in_header) {
    client.header_have += static_cast<std::size_t>(got);
    if (client.header_have < kHeaderBytes) return true;
    if (!check_header(client)) return write_to(client);
    client.body.resize(client.header.length);
    client.body_have = 0;
  } else {
    client.body_have += static_cast<std::size_t>(got);
  }
  if (client.body_have < client.body.size()) return true;
  handle(client);
  client.header_have = 0;
  return write_to(client);
}

bool Server::write_to(Client& client) {
  const ssize_t sent = ::send(client.fd, client.answer.data() + client.sent, client.answer.size() - client.sent, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  client.sent += static_cast<std::size_t>(sent);
  if (client.writing()) return true;
  client.answer.clear();
  client.sent = 0;
  return !client.leaving;
}

// What cannot be understood cannot be stepped over either: such a client is told why and has to go.
bool Server::check_header(Client& client) {
  const Header& header = client.header;
  if (client.turned_away != nullptr) {
    client.leaving = true;
    refuse(client, client.turned_away, client.reason);
    return false;
  }
  if (header.magic == kMagic && header.version == kVersion && header.length <= most_body_) return true;
  client.leaving = true;
  if (header.magic != kMagic) {
    refuse(client, "bad-frame", "this is not a frame of this protocol");
  } else if (header.version != kVersion) {
    refuse(client, "bad-version", "this server speaks version 1, and was asked in " + std::to_string(header.version));
  } else {
    refuse(client, "bad-size",
           "a body may have " + std::to_string(most_body_) + " bytes (has " + std::to_string(header.length) + ")");
  }
  return false;
}

void Server::handle(Client& client) {
  const std::uint32_t id = client.header.id;
  const Kind kind = static_cast<Kind>(client.header.kind);
  if (kind == Kind::kHello) {
    client.greeted = true;
    reply(client, frame(Kind::kHello, id, hello()));
  } else if (!client.greeted) {
    client.leaving = true;
    refuse(client, "bad-order", "the first frame must be a hello");
  } else if (kind == Kind::kRun) {
    handle_run(client);
  } else if (kind == Kind::kHealth) {
    reply(client, frame(Kind::kHealth, id, health()));
  } else {
    refuse(client, "bad-kind", "there is no request of kind " + std::to_string(client.header.kind));
  }
}

void Server::handle_run(Client& client) {
  const EngineInfo& info = model_.engine->info();
  const std::size_t stride = info.input.elements() * sizeof(float);
  std::uint32_t count = 0;
  if (client.body.size() >= sizeof count) std::memcpy(&count, client.body.data(), sizeof count);
  if (count < 1 || count > kMostPictures || client.body.size() != sizeof count + count * stride) {
    refuse(client, "bad-size",
           "a batch is its count (1 to " + std::to_string(kMostPictures) + ") and " + std::to_string(stride) +
               " bytes for each picture (is " + std::to_string(client.body.size()) + " bytes in all, count " +
               std::to_string(count) + ")");
    return;
  }
  // Both the header and the numbers before them are multiples of a float's size, so the floats lie on their boundaries.
  const float* input = reinterpret_cast<const float*>(client.body.data() + sizeof count);
  if (!finite(input, count * info.input.elements())) {
    refuse(client, "bad-input", "the input has what is not a number");
    return;
  }
  std::size_t floats = 0;
  for (const TensorInfo& output : info.outputs) floats += count * output.elements();
  std::string bytes = frame(Kind::kRun, client.header.id, 2 * sizeof(std::uint32_t) + floats * sizeof(float));
  float* answers = reinterpret_cast<float*>(&bytes[kHeaderBytes + 2 * sizeof(std::uint32_t)]);
  std::vector<float*> outputs;
  float* next = answers;
  for (const TensorInfo& output : info.outputs) {
    outputs.push_back(next);
    next += count * output.elements();
  }
  const Clock::time_point from = Clock::now();
  try {
    model_.engine->run(input, static_cast<int>(count), outputs);
  } catch (const Failure& failure) {
    run_failed(client, failure.what());
    if (++failures_in_a_row_ < kMostFailuresInARow) return;
    throw Failure("the engine failed " + std::to_string(kMostFailuresInARow) + " times in a row; begin anew");
  }
  failures_in_a_row_ = 0;
  // The engine works, and a new process would answer the same: this is no reason to end.
  if (!finite(answers, floats)) {
    run_failed(client, "the network answered what is not a number: half precision may be too narrow for it");
    return;
  }
  last_us_ = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - from).count());
  total_us_ += last_us_;
  runs_++;
  pictures_ += count;
  const std::uint32_t us = static_cast<std::uint32_t>(std::min<std::uint64_t>(last_us_, UINT32_MAX));
  std::memcpy(&bytes[kHeaderBytes], &count, sizeof count);
  std::memcpy(&bytes[kHeaderBytes + sizeof count], &us, sizeof us);
  reply(client, std::move(bytes));
}

void Server::run_failed(Client& client, const char* why) {
  failures_++;
  std::fprintf(stderr, "faced-tensorrt: a run failed: %s\n", why);
  refuse(client, "run-failed", why);
}

void Server::reply(Client& client, std::string bytes) {
  client.answer = std::move(bytes);
  client.sent = 0;
  client.since = Clock::now();
}

void Server::refuse(Client& client, const char* code, const std::string& message) {
  refused_++;
  reply(client, frame(Kind::kError, client.header.id, JsonObject().text("code", code).text("message", message).done()));
}

std::string Server::hello() const {
  const EngineInfo& info = model_.engine->info();
  const auto tensor = [](const TensorInfo& one) {
    return JsonObject().text("name", one.name).raw("shape", json_array(one.shape)).done();
  };
  std::vector<std::string> outputs;
  for (const TensorInfo& output : info.outputs) outputs.push_back(tensor(output));
  return JsonObject()
      .number("protocol", kVersion)
      .text("engine", info.kind)
      .text("engineVersion", info.version)
      .text("board", model_.board)
      .text("sha256", model_.file_sha256)
      .text("model", model_.model_sha256)
      .text("derivedFrom", model_.derived_from)
      .text("precision", model_.precision)
      .number("maxBatch", kMostPictures)
      .raw("input", tensor(info.input))
      .raw("outputs", json_array(outputs))
      .done();
}

std::string Server::health() const {
  return JsonObject()
      .number("uptimeS", static_cast<std::uint64_t>(milliseconds(Clock::now() - started_) / 1000))
      .number("clients", staying())
      .number("runs", runs_)
      .number("pictures", pictures_)
      .number("failures", failures_)
      .number("refused", refused_)
      .number("lastRunUs", last_us_)
      .number("meanRunUs", runs_ == 0 ? 0 : total_us_ / runs_)
      .done();
}

}  // namespace faced
