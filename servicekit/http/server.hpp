#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/error.hpp"
#include "servicekit/core/type_id.hpp"

namespace stoa::telemetry {
class Telemetry;
}

namespace stoa::http {

namespace detail {
struct Exchange;  // one request in the making: parsed message, identity, body source
struct Routes;
}  // namespace detail

enum class Method : std::uint8_t { get, head, post, put, patch, del, options };
std::string_view name(Method method);

/// Who asks, as proven by a token that this process verified itself.
struct Identity {
  enum class Kind : std::uint8_t { nobody, user, service };
  Kind kind = Kind::nobody;
  UserId user{};                    ///< when kind is user
  SessionId session{};              ///< when kind is user
  std::string service;              ///< when kind is service: "order-service"
  std::vector<std::string> roles;   ///< customer, staff, admin
  std::vector<std::string> scopes;  ///< "catalog:write", …

  bool may(std::string_view scope) const;
};

/// Who may call a route; stands on the route's line.
class Access {
 public:
  enum class Kind : std::uint8_t { anyone, signed_in, scope, service };
  Kind kind;
  std::string_view scope{};                  ///< kind scope
  std::vector<std::string_view> services{};  ///< kind service
};
inline const Access anyone{Access::Kind::anyone};
inline const Access signed_in{Access::Kind::signed_in};
inline Access needs(std::string_view scope) { return {Access::Kind::scope, scope}; }
inline Access from_services(std::vector<std::string_view> names) {
  return {Access::Kind::service, {}, std::move(names)};
}

/// A handle to the request on its connection: cheap to copy, valid until the handler's task ends.
class Request {
 public:
  Method method() const;
  std::string_view target() const;  ///< as sent: path and query
  std::string_view path() const;
  std::string_view query() const;  ///< without '?', "" when absent
  /// The value of the first header of that name (any case), "" when absent.
  std::string_view header(std::string_view name) const;
  /// Calls `visit(name, value)` for each header as sent.
  void each_header(const std::function<void(std::string_view, std::string_view)>& visit) const;
  /// A `{name}` of the route's path, percent-decoded.
  const std::string& param(std::string_view name) const;
  /// The whole body. Empty on a streamed route: use next_chunk().
  std::string_view body() const;
  /// Streamed routes: the next piece (at most 64 KiB), empty at the end. Throws Unavailable when
  /// the client stops sending before the body's deadline, the request's, or `until`, or is gone.
  Task<std::string> next_chunk(std::chrono::steady_clock::time_point until =
                                   std::chrono::steady_clock::time_point::max()) const;
  const Identity& identity() const;
  const std::string& client_address() const;  ///< behind configured proxies: of X-Forwarded-For
  /// Whether a configured proxy sent it, so that its X-Forwarded-* headers count.
  bool behind_proxy() const;

  explicit Request(detail::Exchange* exchange) : exchange_{exchange} {}

 private:
  detail::Exchange* exchange_;
};

/// A path parameter as an id; what is no such id names nothing: not_found with `code`.
template <class Id>
Result<Id> id_param(const Request& request, std::string_view name, std::string_view code) {
  if (const auto id = Id::parse(request.param(name))) return *id;
  return refuse(ErrorKind::not_found, code, "there is no such object");
}

/// The typed query of a request.
class QueryString {
 public:
  /// Errors (malformed): malformed_query (bad escape, bad UTF-8, a parameter twice),
  /// unknown_parameter.
  static Result<QueryString> parse(const Request& request,
                                   std::vector<std::string_view> known_names);
  std::optional<std::string_view> text(std::string_view name) const;
  /// Errors: bad_parameter (malformed).
  Result<std::optional<std::int64_t>> number(std::string_view name, std::int64_t min,
                                             std::int64_t max) const;
  Result<std::optional<bool>> flag(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

/// A body too large for one buffer (proxied downloads).
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual Task<std::string> next() = 0;  ///< empty at the end
};

struct Response {
  int status = 200;
  std::string body{};
  std::string_view content_type = "application/json";
  std::string headers{};                 ///< ready lines: "name: value\r\n"; use add_header()
  std::shared_ptr<BodySource> stream{};  ///< instead of body
  std::optional<std::uint64_t> stream_length{};
  bool problem_details = false;  ///< made by problem(): the pipeline adds instance and trace_id

  /// A bug (require) when name or value holds CR, LF or NUL.
  Response& add_header(std::string_view name, std::string_view value);
};

/// RFC 9457 `application/problem+json`: type, title (of contracts/http/problems.d), status, detail,
/// code, errors, retryable; `instance` and `trace_id` are added by the pipeline when it renders.
/// `unauthenticated` gets WWW-Authenticate, `too_many` and what has a `retry_after` Retry-After.
Response problem(const Error& error);
/// 503 `unavailable` with Retry-After: what the pipeline makes of Unavailable.
Response unavailable_problem();
Response ok(std::string json);
Response created(std::string_view location, std::string json);
Response accepted(std::string_view location, std::string json);
Response no_content();

/// The status of each kind, as contracts/http/problems.d lists them.
int status_of(ErrorKind kind);

using Handler = std::function<Task<Response>(Context, Request)>;

struct RouteOptions {
  std::size_t body_max = 1024 * 1024;                  ///< bytes; more is 413
  bool streamed = false;                               ///< body by next_chunk()
  std::string_view content_type = "application/json";  ///< of a body; other is 415. "" takes any
  std::chrono::milliseconds deadline{5'000};
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;

  /// `path` is "/api/v1/products/{id}": whole segments only. A path registered twice is a bug.
  void add(Method method, std::string_view path, Access access, Handler handler,
           RouteOptions options = {});
  void get(std::string_view path, Access access, Handler handler, RouteOptions options = {});
  void post(std::string_view path, Access access, Handler handler, RouteOptions options = {});
  void put(std::string_view path, Access access, Handler handler, RouteOptions options = {});
  void patch(std::string_view path, Access access, Handler handler, RouteOptions options = {});
  void del(std::string_view path, Access access, Handler handler, RouteOptions options = {});
  /// Every method on `prefix` and on all below it, by whole segments, that no route above matches
  /// (the gateway's proxy). The longest prefix wins; "/" takes the rest. One route in the metrics.
  void under(std::string_view prefix, Access access, Handler handler, RouteOptions options = {});

  detail::Routes& routes() const { return *routes_; }

 private:
  std::unique_ptr<detail::Routes> routes_;
};

/// Turns `Authorization: Bearer` into an identity. Implemented by servicekit/auth.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// Errors (unauthenticated): token_missing is decided by the pipeline; token_invalid,
  /// token_expired, session_revoked.
  virtual Task<Result<Identity>> authenticate(Context context, std::string_view token) = 0;
  /// Waits until it can judge any token, however long that takes. Called once, on loop 0.
  virtual Task<> prepared() { co_return; }
};

struct ServerLimits {
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t header_count_max = 64;
  std::size_t target_bytes_max = 8 * 1024;
  std::size_t connections_max = 4'096;  ///< per loop; beyond: closed at accept
  /// Per loop, from the handler's start to its answer, less what it waits for the client's body;
  /// beyond: 503, Retry-After 1.
  std::size_t requests_in_flight_max = 1'024;
  std::size_t pipelined_max = 32;                  ///< answers gathered into one write
  std::chrono::milliseconds head_timeout{10'000};  ///< from the first byte, not renewed
  std::chrono::milliseconds body_timeout{30'000};  ///< whole body; streamed: each piece
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};
};

struct ServerConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                      ///< 0: any; see Server::port()
  std::vector<std::string> trusted_proxies{};  ///< addresses whose X-Forwarded-For counts
  bool trust_deadline_header = false;          ///< X-Deadline-Ms may shorten the deadline
  ServerLimits limits{};
  /// Sees the answer to every request, refusals of the pipeline included, before it is rendered.
  /// On the request's loop; does not wait. For CORS.
  std::function<void(const Request&, Response&)> on_response{};
};

/// HTTP/1.1 (RFC 9112) on every loop, one listener each by SO_REUSEPORT. The pipeline of a request:
/// parse → limits → request id → trace → route → identity → access → body → handler → access log
/// and metrics. Unavailable becomes 503 with Retry-After; any other exception 500 and an error
/// line.
class Server {
 public:
  Server(Loops& loops, Router router, Authenticator* authenticator, telemetry::Telemetry& telemetry,
         ServerConfig config);
  ~Server();

  /// Binds and listens on every loop, and raises the process's descriptor limit to what it may be.
  /// Throws std::runtime_error when the address cannot be had.
  void start();
  std::uint16_t port() const;

  /// Accepts until the listen queues are empty, closes them, answers what is in hand with
  /// `connection: close`, ends idle connections. Returns when none is left or at the deadline.
  /// Runs on loop 0.
  Task<> drain(std::chrono::milliseconds timeout);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::http
