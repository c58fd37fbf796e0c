#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace stoa::testing_support {

/// A blocking TCP client that knows nothing of HTTP: what a test writes is what the server gets.
/// Every wait ends after `patience`.
class RawClient {
 public:
  static constexpr std::chrono::seconds patience{10};

  /// Connects to 127.0.0.1. Throws std::system_error.
  explicit RawClient(std::uint16_t port);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient();

  /// False when the server has closed before it took all.
  bool send(std::string_view bytes) const;
  /// No more bytes come from us.
  void finish_sending() const;
  /// Closes with a reset instead of an orderly end.
  void reset();

  /// Everything until the server closes.
  std::string read_all();
  /// One response: its head, and the body that its content-length or chunks announce. Interim
  /// responses (1xx) come as they are, one at a time. What follows stays for the next call. "" when
  /// the server closed instead.
  std::string read_response(bool has_body = true);
  /// Reads and forgets everything until the server closes: how many bytes that were.
  std::size_t discard_all();
  /// Whether the server closes within `patience`, whatever it sends before.
  bool closed() const;

 private:
  bool fill();

  int socket_ = -1;
  std::string unread_;
};

/// One request on a connection of its own; the whole answer.
std::string exchange(std::uint16_t port, std::string_view request);

/// The status of a raw response, 0 for "".
int status_of(std::string_view response);
std::string_view body_of(std::string_view response);
/// The value of the first header of that name in a raw response, "" when absent. Lower-case name.
std::string header_of(std::string_view response, std::string_view name);

}  // namespace stoa::testing_support
