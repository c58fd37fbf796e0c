#include "servicekit/testing/scripted_server.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servicekit/testing/free_port.hpp"

namespace stoa::testing_support {
namespace {

constexpr std::size_t read_size = 64 * 1024;

std::pair<int, std::uint16_t> bound_socket() {
  const int bound = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(bound, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error{errno, std::system_category(), "bind"};
  }
  socklen_t length = sizeof address;
  ::getsockname(bound, reinterpret_cast<sockaddr*>(&address), &length);
  return {bound, ntohs(address.sin_port)};
}

}  // namespace

std::string ScriptedConnection::read_until(std::string_view end) {
  std::array<char, read_size> bytes{};
  std::size_t at = 0;
  while ((at = unread_.find(end)) == std::string::npos) {
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got <= 0) return {};
    unread_.append(bytes.data(), static_cast<std::size_t>(got));
  }
  std::string piece = unread_.substr(0, at + end.size());
  unread_.erase(0, piece.size());
  return piece;
}

void ScriptedConnection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void ScriptedConnection::reset() const {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void ScriptedConnection::await_close() const {
  std::array<char, read_size> bytes{};
  while (::recv(socket_, bytes.data(), bytes.size(), 0) > 0) {
  }
}

ScriptedServer::ScriptedServer(std::function<void(ScriptedConnection&)> script)
    : script_{std::move(script)} {
  std::tie(listener_, port_) = bound_socket();
  ::listen(listener_, SOMAXCONN);
  acceptor_ = std::thread{[this] { accept_all(); }};
}

ScriptedServer::~ScriptedServer() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (const int socket : open_) ::shutdown(socket, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : open_) ::close(socket);
  ::close(listener_);
}

void ScriptedServer::accept_all() {
  while (true) {
    const int socket = ::accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    ++connections_;
    // The descriptor itself is closed at the end, so that no other connection gets its number.
    const int duplicate = ::dup(socket);
    open_.push_back(socket);
    threads_.emplace_back([this, socket, duplicate] {
      ScriptedConnection connection{duplicate};
      script_(connection);
      linger how{};
      socklen_t length = sizeof how;
      ::getsockopt(duplicate, SOL_SOCKET, SO_LINGER, &how, &length);
      // A second descriptor keeps the connection alive, so close() alone would not end it.
      if (how.l_onoff != 0) {
        const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
        [[maybe_unused]] const int ended = ::connect(socket, &nobody, sizeof nobody);
      } else {
        ::shutdown(duplicate, SHUT_RDWR);
      }
      ::close(duplicate);
    });
  }
}

std::uint16_t closed_port() { return free_port(); }

}  // namespace stoa::testing_support
