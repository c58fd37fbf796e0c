#include "servicekit/testing/raw_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "servicekit/core/ascii.hpp"

namespace stoa::testing_support {
namespace {

constexpr std::size_t read_size = 64 * 1024;

std::size_t number_of(std::string_view text, int base) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// Length of the chunked body at the front of `text`, 0 while it is not complete.
std::size_t chunked_length(std::string_view text) {
  std::size_t at = 0;
  while (true) {
    const std::size_t line = text.find("\r\n", at);
    if (line == std::string_view::npos) return 0;
    const std::size_t size = number_of(text.substr(at, line - at), 16);
    at = line + 2 + size + 2;
    if (at > text.size()) return 0;
    if (size == 0) return at;
  }
}

}  // namespace

RawClient::RawClient(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM, 0)} {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval wait{.tv_sec = patience.count(), .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::system_error{errno, std::system_category(), "connect"};
  }
}

RawClient::~RawClient() { ::close(socket_); }

bool RawClient::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawClient::finish_sending() const { ::shutdown(socket_, SHUT_WR); }

void RawClient::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(socket_);
  socket_ = -1;
}

bool RawClient::fill() {
  std::array<char, read_size> bytes{};
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  unread_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

std::string RawClient::read_all() {
  while (fill()) {
  }
  return std::exchange(unread_, {});
}

std::size_t RawClient::discard_all() {
  std::size_t count = unread_.size();
  unread_.clear();
  while (fill()) {
    count += unread_.size();
    unread_.clear();
  }
  return count;
}

std::string RawClient::read_response(bool has_body) {
  while (unread_.find("\r\n\r\n") == std::string::npos) {
    if (!fill()) return {};
  }
  const std::size_t head = unread_.find("\r\n\r\n") + 4;
  const std::string_view head_text = std::string_view{unread_}.substr(0, head);
  const int status = status_of(head_text);
  const bool chunked = header_of(head_text, "transfer-encoding") == "chunked";
  const std::size_t length = number_of(header_of(head_text, "content-length"), 10);
  has_body = has_body && status >= 200 && status != 204 && status != 304;
  std::size_t body = has_body && !chunked ? length : 0;
  if (has_body && chunked) {
    while ((body = chunked_length(std::string_view{unread_}.substr(head))) == 0) {
      if (!fill()) return {};
    }
  }
  while (unread_.size() < head + body) {
    if (!fill()) return {};
  }
  std::string response = unread_.substr(0, head + body);
  unread_.erase(0, head + body);
  return response;
}

bool RawClient::closed() const {
  std::array<char, read_size> bytes{};
  while (true) {
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got == 0) return true;
    if (got < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
  }
}

std::string exchange(std::uint16_t port, std::string_view request) {
  RawClient client{port};
  client.send(request);
  return client.read_response();
}

int status_of(std::string_view response) {
  constexpr std::size_t at = 9;  // behind "HTTP/1.1 "
  return response.size() < at + 3 ? 0 : static_cast<int>(number_of(response.substr(at, 3), 10));
}

std::string_view body_of(std::string_view response) {
  const std::size_t head = response.find("\r\n\r\n");
  return head == std::string_view::npos ? std::string_view{} : response.substr(head + 4);
}

std::string header_of(std::string_view response, std::string_view name) {
  const std::string head = lower_case(response.substr(0, response.find("\r\n\r\n")));
  const std::string wanted = "\r\n" + std::string{name} + ": ";
  const std::size_t at = head.find(wanted);
  if (at == std::string::npos) return {};
  const std::size_t from = at + wanted.size();
  const std::size_t end = std::min(head.find("\r\n", from), head.size());
  return std::string{response.substr(from, end - from)};
}

}  // namespace stoa::testing_support
