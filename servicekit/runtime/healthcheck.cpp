#include "servicekit/runtime/healthcheck.hpp"

#include <array>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace stoa::runtime {
namespace {

namespace net = boost::asio;

constexpr std::string_view request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
constexpr std::string_view ready = "HTTP/1.1 200";

net::ip::tcp::endpoint reachable(const std::string& address, std::uint16_t port) {
  boost::system::error_code failure;
  const net::ip::address ip = net::ip::make_address(address, failure);
  if (failure || (ip.is_unspecified() && ip.is_v4()))
    return {net::ip::address_v4::loopback(), port};
  if (ip.is_unspecified()) return {net::ip::address_v6::loopback(), port};
  return {ip, port};
}

}  // namespace

bool is_ready(const std::string& address, std::uint16_t admin_port,
              std::chrono::milliseconds timeout) {
  net::io_context loop{1};
  net::ip::tcp::socket socket{loop};
  std::array<char, ready.size()> answer{};
  bool is_ready = false;
  const auto compare = [&](boost::system::error_code failure, std::size_t) {
    is_ready = !failure && std::string_view{answer.data(), answer.size()} == ready;
  };
  const auto receive = [&](boost::system::error_code failure, std::size_t) {
    if (!failure) net::async_read(socket, net::buffer(answer), compare);
  };
  socket.async_connect(reachable(address, admin_port), [&](boost::system::error_code failure) {
    if (!failure) net::async_write(socket, net::buffer(request), receive);
  });
  loop.run_for(timeout);
  return is_ready;
}

}  // namespace stoa::runtime
