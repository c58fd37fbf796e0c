#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "servicekit/async/task.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::runtime {

/// /livez, /startupz, /readyz and /metrics on a port of their own, on one loop.
///
/// Not an http::Server: probes must be answered when that one is full, draining or the culprit, and
/// they belong neither to the access log nor to the request metrics. One request a connection.
class AdminServer {
 public:
  enum class State : std::uint8_t { starting, ready, draining };

  /// Binds and listens. Port 0: any. Throws std::runtime_error when the address cannot be had.
  AdminServer(boost::asio::io_context& loop, telemetry::Telemetry& telemetry,
              const std::string& address, std::uint16_t port);

  std::uint16_t port() const;
  void become(State state) { state_ = state; }

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

  struct Answer {
    int status;
    std::string body;
  };

  Task<> accept();
  Task<> serve(Socket socket);
  Answer answer(std::string_view method, std::string_view path);

  boost::asio::io_context& loop_;
  telemetry::Telemetry& telemetry_;
  Acceptor acceptor_;
  State state_ = State::starting;
  std::size_t connections_ = 0;
};

}  // namespace stoa::runtime
