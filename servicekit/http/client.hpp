#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/http/server.hpp"

namespace stoa::http {

struct ClientConfig {
  std::string name{};  ///< of the callee: metrics, spans, log
  std::vector<std::string>
      addresses{};                   ///< "host:port", in turn, but for those whose breaker is open
  std::size_t connections_max = 64;  ///< per loop and address; idle ones are kept, LIFO
  std::size_t waiting_max = 256;     ///< per loop; beyond: Unavailable
  /// Then a connection is made anew: behind one address a replica that came later gets its share.
  std::chrono::milliseconds connection_age_max{30'000};
  std::chrono::milliseconds connect_timeout{500};
  std::chrono::milliseconds timeout{3'000};  ///< of one call when the context leaves more
  std::size_t response_bytes_max = 8 * 1024 * 1024;
  double retry_ratio_max = 0.1;  ///< retries per request, over the last 10 s
  // Breaker per address: opens after `breaker_failures` failures in a row, lets one probe through
  // after `breaker_open_for`, closes on its success.
  std::size_t breaker_failures = 5;
  std::chrono::milliseconds breaker_open_for{1'000};
};

struct ClientRequest {
  Method method = Method::get;
  std::string target;     ///< path and query
  std::string headers{};  ///< ready lines: "name: value\r\n"
  std::string body{};
  std::string_view content_type = "application/json";  ///< sent when there is a body
  /// Safe to send twice: a method that RFC 9110 calls idempotent, or a request with an
  /// Idempotency-Key of its own. Otherwise it is repeated only if not one byte was sent.
  bool idempotent = false;
  /// Instead of `body`: sent piece by piece, never repeated once it has begun.
  std::shared_ptr<BodySource> upload{};
  std::optional<std::uint64_t> upload_length{};  ///< absent: sent in chunks
};

/// Headers that describe one connection, not the message (RFC 9110 section 7.6.1), and the framing:
/// every hop writes its own, so a proxy passes none of them on.
bool is_hop_by_hop(std::string_view name);

struct ClientResponse {
  int status = 0;
  std::string headers;  ///< as received, hop-by-hop ones removed: "name: value\r\n"
  std::string body;
  std::shared_ptr<BodySource> stream{};  ///< of open(): a large body, instead of `body`
  std::optional<std::uint64_t> stream_length{};
  /// The value of the first header of that name (any case), "" when absent.
  std::string_view header(std::string_view name) const;
};

/// HTTP/1.1 client, one pool per loop. Sends `traceparent`, `X-Request-Id` and `X-Deadline-Ms` from
/// the context.
class Client {
 public:
  Client(Loops& loops, ClientConfig config, telemetry::Telemetry& telemetry);
  ~Client();

  /// Throws Unavailable: no connection, breaker open, deadline passed, malformed or too large an
  /// answer. A status of 5xx is an answer (the breaker counts it as a failure); an idempotent
  /// request is repeated once after a 503, within the retry budget.
  Task<ClientResponse> send(Context context, ClientRequest request);

  /// The same for proxies: a body of more than 64 KiB becomes `stream`, of any size. Its connection
  /// stays taken until the stream is read to its end or dropped.
  Task<ClientResponse> open(Context context, ClientRequest request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::http
