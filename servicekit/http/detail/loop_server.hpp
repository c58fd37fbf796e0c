#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/intrusive/list.hpp>

#include "servicekit/http/detail/connection.hpp"
#include "servicekit/http/detail/pipeline.hpp"

namespace stoa::http::detail {

/// What the loops of one server share: read only, but for what telemetry counts.
struct ServerShared {
  ServerConfig config;
  Router router;
  telemetry::Telemetry& telemetry;
  Authenticator* authenticator;
  telemetry::Gauge connections;
  telemetry::Gauge in_flight;
  telemetry::Counter shed;
  telemetry::Counter refused;  ///< messages that were no HTTP
};

/// The server's half that lives on one loop: its listener, its connections, its sweep. Kept alive
/// by the tasks it started, since a loop may destroy those after the server is gone.
class LoopServer : public std::enable_shared_from_this<LoopServer> {
 public:
  LoopServer(boost::asio::io_context& loop, std::shared_ptr<ServerShared> shared);

  /// Throws boost::system::system_error.
  void listen(const Tcp::endpoint& endpoint);
  std::uint16_t port() const;
  void start();
  /// Stops accepting and ends idle connections; from the loop's own thread.
  void begin_drain();
  void abort_connections();
  /// Whether begin_drain() has run; from any thread.
  bool listener_closed() const { return listener_closed_.load(); }
  /// Open connections; from any thread.
  std::size_t open() const { return open_.load(std::memory_order_relaxed); }

  // What a connection needs of its loop.
  const ServerConfig& config() const { return shared_->config; }
  const ServerLimits& limits() const { return shared_->config.limits; }
  ServerShared& shared() { return *shared_; }
  Pipeline& pipeline() { return pipeline_; }
  std::string_view date() const { return date_; }
  bool draining() const { return draining_; }
  /// False when too many requests are in flight.
  bool take_request();
  void give_request() { --in_flight_; }
  void resume_request() { ++in_flight_; }
  void add(Connection& connection);
  void removed() { open_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  static Task<> accept(std::shared_ptr<LoopServer> self);
  static Task<> sweep(std::shared_ptr<LoopServer> self);
  void adopt(Socket socket);
  void accept_waiting();
  void tell_gauges();

  boost::asio::io_context& loop_;
  std::shared_ptr<ServerShared> shared_;
  Pipeline pipeline_;
  Acceptor acceptor_;
  Timer sweep_timer_;
  boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> connections_;
  std::atomic<std::size_t> open_{0};
  std::atomic<bool> listener_closed_{false};
  std::size_t in_flight_ = 0;
  std::size_t told_open_ = 0;
  std::size_t told_in_flight_ = 0;
  std::string date_;
  Clock::time_point drain_idle_until_{};
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace stoa::http::detail
