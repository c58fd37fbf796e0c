#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace stoa::testing_support {

/// One accepted connection of a ScriptedServer. Blocking.
class ScriptedConnection {
 public:
  explicit ScriptedConnection(int socket) : socket_{socket} {}
  /// Bytes up to and including `end`; "" when the peer closed before.
  std::string read_until(std::string_view end);
  void send(std::string_view bytes) const;
  /// Ends with a reset instead of an orderly close.
  void reset() const;
  /// Blocks until the peer closes.
  void await_close() const;
  /// For a script that speaks TLS over it.
  int socket() const { return socket_; }

 private:
  int socket_;
  std::string unread_;
};

/// A TCP server on 127.0.0.1 that does to its callers whatever `script` says: a hostile upstream.
/// Each connection has a thread of its own; the connection closes when the script returns.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<void(ScriptedConnection&)> script);
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer();

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void accept_all();

  std::function<void(ScriptedConnection&)> script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

}  // namespace stoa::testing_support
