#include "servicekit/runtime/admin_server.hpp"

#include <array>
#include <chrono>
#include <format>
#include <stdexcept>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "servicekit/async/loops.hpp"

namespace stoa::runtime {
namespace {

namespace net = boost::asio;

constexpr std::size_t connections_max = 32;
constexpr std::size_t head_bytes_max = 8 * 1024;
constexpr std::chrono::seconds exchange_timeout{5};
constexpr std::chrono::milliseconds accept_pause{50};
constexpr auto or_error = net::as_tuple(net::use_awaitable_t<Executor>{});

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

}  // namespace

AdminServer::AdminServer(net::io_context& loop, telemetry::Telemetry& telemetry,
                         const std::string& address, std::uint16_t port)
    : loop_{loop}, telemetry_{telemetry}, acceptor_{loop} {
  boost::system::error_code failure;
  const auto ip = net::ip::make_address(address, failure);
  const net::ip::tcp::endpoint endpoint{ip, port};
  if (!failure) acceptor_.open(endpoint.protocol(), failure);
  if (!failure) acceptor_.set_option(net::socket_base::reuse_address{true}, failure);
  if (!failure) acceptor_.bind(endpoint, failure);
  if (!failure) acceptor_.listen(net::socket_base::max_listen_connections, failure);
  if (failure) {
    throw std::runtime_error{
        std::format("the admin port {}:{} cannot be had: {}", address, port, failure.message())};
  }
  spawn(loop_, "admin server", accept());
}

std::uint16_t AdminServer::port() const { return acceptor_.local_endpoint().port(); }

Task<> AdminServer::accept() {
  while (true) {
    auto [failure, socket] = co_await acceptor_.async_accept(or_error);
    if (failure == net::error::operation_aborted) co_return;
    if (failure) {
      co_await sleep_for(accept_pause);  // out of descriptors: they come back
      continue;
    }
    if (connections_ >= connections_max) continue;
    ++connections_;
    spawn(loop_, "admin request", serve(Socket{std::move(socket)}));
  }
}

Task<> AdminServer::serve(Socket socket) {
  std::string head;
  std::array<char, 2048> piece{};
  boost::system::error_code failed;
  while (!failed && !head.contains("\r\n\r\n") && head.size() < head_bytes_max) {
    const auto [failure, count] = co_await socket.async_read_some(
        net::buffer(piece), net::cancel_after(exchange_timeout, or_error));
    head.append(piece.data(), count);
    failed = failure;
  }
  if (!failed && head.contains("\r\n\r\n")) {
    const std::string_view line = std::string_view{head}.substr(0, head.find("\r\n"));
    const std::size_t first = line.find(' ');
    const std::size_t second = line.find(' ', first + 1);
    const Answer reply =
        second == std::string_view::npos
            ? Answer{.status = 404, .body = "no such page\n"}
            : answer(line.substr(0, first), line.substr(first + 1, second - first - 1));
    const std::string message = std::format(
        "HTTP/1.1 {} {}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
        "content-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{}",
        reply.status, reason(reply.status), reply.body.size(), reply.body);
    co_await net::async_write(socket, net::buffer(message),
                              net::cancel_after(exchange_timeout, or_error));
    socket.shutdown(Socket::shutdown_send, failed);
  }
  --connections_;
}

AdminServer::Answer AdminServer::answer(std::string_view method, std::string_view path) {
  if (method != "GET") return {.status = 405, .body = "GET only\n"};
  if (path == "/livez") return {.status = 200, .body = "alive\n"};
  if (path == "/metrics") return {.status = 200, .body = telemetry_.exposition()};
  if (path == "/startupz" || path == "/readyz") {
    if (state_ == State::starting) return {.status = 503, .body = "starting\n"};
    if (state_ == State::draining && path == "/readyz")
      return {.status = 503, .body = "draining\n"};
    return {.status = 200, .body = path == "/readyz" ? "ready\n" : "started\n"};
  }
  return {.status = 404, .body = "no such page\n"};
}

}  // namespace stoa::runtime
