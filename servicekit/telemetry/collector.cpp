#include "servicekit/telemetry/collector.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <format>
#include <memory>

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stoa::telemetry {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::string_view scheme = "http://";
constexpr std::string_view traces_path = "/v1/traces";
constexpr std::size_t status_line_length = 12;  // "HTTP/1.1 200"

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_{descriptor} {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

bool wait_for(int descriptor, short events, SteadyClock::time_point deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
    const int polled = ::poll(&waiting, 1, static_cast<int>(left));
    if (polled > 0) return true;
    if (polled < 0 && errno != EINTR) return false;
  }
}

bool connect(const Socket& socket, const addrinfo& address, SteadyClock::time_point deadline) {
  if (socket.descriptor() < 0) return false;
  if (::connect(socket.descriptor(), address.ai_addr, address.ai_addrlen) == 0) return true;
  if (errno != EINPROGRESS || !wait_for(socket.descriptor(), POLLOUT, deadline)) return false;
  int failure = 0;
  socklen_t length = sizeof failure;
  return ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &failure, &length) == 0 &&
         failure == 0;
}

bool send_all(const Socket& socket, std::string_view bytes, SteadyClock::time_point deadline) {
  while (!bytes.empty()) {
    if (!wait_for(socket.descriptor(), POLLOUT, deadline)) return false;
    const ssize_t sent = ::send(socket.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool accepted(const Socket& socket, SteadyClock::time_point deadline) {
  std::string head;
  std::array<char, 512> piece{};
  while (head.size() < status_line_length) {
    if (!wait_for(socket.descriptor(), POLLIN, deadline)) return false;
    const ssize_t count = ::recv(socket.descriptor(), piece.data(), piece.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (count > 0) head.append(piece.data(), static_cast<std::size_t>(count));
  }
  return head.starts_with("HTTP/1.") && head[9] == '2';
}

}  // namespace

std::optional<CollectorUrl> CollectorUrl::parse(std::string_view text) {
  if (!text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view authority = text.substr(0, slash);
  std::string_view prefix = text.substr(slash);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);

  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = authority.substr(0, colon);
  const std::string_view port = authority.substr(colon + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit)) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto is_plain = [](char c) { return c > ' ' && c != 0x7f && c != '@'; };
  if (!std::ranges::all_of(text, is_plain)) return std::nullopt;
  return CollectorUrl{.host = std::string{host},
                      .port = std::string{port},
                      .path = std::string{prefix} + std::string{traces_path}};
}

bool post_spans(const CollectorUrl& url, std::string_view request,
                SteadyClock::time_point deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses{found, &::freeaddrinfo};
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const Socket socket{::socket(address->ai_family,
                                 address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                 address->ai_protocol)};
    if (!connect(socket, *address, deadline)) continue;
    const std::string head = std::format(
        "POST {} HTTP/1.1\r\nhost: {}:{}\r\ncontent-type: application/x-protobuf\r\n"
        "content-length: {}\r\nconnection: close\r\n\r\n",
        url.path, url.host, url.port, request.size());
    return send_all(socket, head, deadline) && send_all(socket, request, deadline) &&
           accepted(socket, deadline);
  }
  return false;
}

}  // namespace stoa::telemetry
