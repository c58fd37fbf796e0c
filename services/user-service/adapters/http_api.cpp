#include "services/user-service/adapters/http_api.hpp"

#include <charconv>
#include <format>
#include <utility>

#include "services/user-service/adapters/user_json.hpp"

namespace stoa::user {
namespace {

// As long as is left until a new key signs, less what a verifier's own period takes of it.
constexpr std::string_view jwks_cache_control = "public, max-age=300";
constexpr std::int64_t no_version = 0;  // versions begin with 1

http::Response private_json(int status, std::string body) {
  http::Response response{.status = status, .body = std::move(body)};
  response.add_header("cache-control", "private, no-store");
  return response;
}

std::string etag_of(const User& user) { return std::format("\"{}\"", user.version); }

http::Response user_response(const User& user) {
  http::Response response = private_json(200, user_json(user));
  response.add_header("etag", etag_of(user));
  return response;
}

/// The version that If-Match asks for: none without the header or for "*"; one that no user has for
/// a tag that is not of ours.
std::optional<std::int64_t> wanted_version(std::string_view if_match) {
  if (if_match.empty() || if_match == "*") return std::nullopt;
  if (if_match.size() < 3 || !if_match.starts_with('"') || !if_match.ends_with('"')) {
    return no_version;
  }
  const std::string_view digits = if_match.substr(1, if_match.size() - 2);
  std::int64_t version = no_version;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size();
  return whole ? version : no_version;
}

}  // namespace

HttpApi::HttpApi(Collaborators collaborators) : with_{std::move(collaborators)} {
  const auto of = [this](const char* outcome) {
    return with_.telemetry.counter("stoa_logins_total", "Logins by outcome",
                                   {{"outcome", outcome}});
  };
  logins_ = {.accepted = of("accepted"),
             .refused = of("refused"),
             .locked = of("locked"),
             .throttled = of("throttled")};
}

void HttpApi::mount(http::Router& router) {
  using http::anyone;
  using http::signed_in;
  const auto to = [this](Task<http::Response> (HttpApi::*handle)(Context, http::Request)) {
    return [this, handle](Context context, http::Request request) {
      return (this->*handle)(std::move(context), request);
    };
  };
  router.post("/api/v1/auth/register", anyone, to(&HttpApi::register_user));
  router.post("/api/v1/auth/login", anyone, to(&HttpApi::login));
  router.post("/api/v1/auth/refresh", anyone, to(&HttpApi::refresh));
  router.post("/api/v1/auth/logout", anyone, to(&HttpApi::logout));
  router.post("/api/v1/auth/logout-all", signed_in, to(&HttpApi::logout_all));
  router.get("/api/v1/users/me", signed_in, to(&HttpApi::show_me));
  router.patch("/api/v1/users/me", signed_in, to(&HttpApi::change_me),
               {.content_type = "application/merge-patch+json"});
  router.del("/api/v1/users/me", signed_in, to(&HttpApi::erase_me));
  router.get("/.well-known/jwks.json", anyone, to(&HttpApi::jwks));
  router.get("/internal/v1/revocations",
             http::from_services({"api-gateway", "product-service", "order-service",
                                  "payment-service", "notification-service"}),
             to(&HttpApi::revocations));
  router.get("/internal/v1/users/{id}/contact", http::from_services({"notification-service"}),
             to(&HttpApi::contact));
}

Result<void> HttpApi::check_limit(Limit limit, const http::Request& request) {
  const auto allowance =
      with_.limiter.take(static_cast<std::size_t>(limit), request.client_address());
  if (allowance.allowed) return {};
  Error error{.kind = ErrorKind::too_many,
              .code = "too_many_attempts",
              .detail = "too many attempts from this address"};
  error.retry_after = allowance.reset;
  return std::unexpected(std::move(error));
}

Task<http::Response> HttpApi::register_user(Context context, http::Request request) {
  if (const auto allowed = check_limit(Limit::registration, request); !allowed) {
    co_return http::problem(allowed.error());
  }
  auto registration = parse_registration(request.body());
  if (!registration) co_return http::problem(registration.error());

  const auto signed_in =
      co_await with_.accounts.register_user(std::move(context), std::move(*registration));
  if (!signed_in) co_return http::problem(signed_in.error());
  with_.on_fact();
  http::Response response = private_json(201, signed_in_json(*signed_in));
  response.add_header("location", "/api/v1/users/me");
  co_return response;
}

Task<http::Response> HttpApi::login(Context context, http::Request request) {
  if (const auto allowed = check_limit(Limit::login, request); !allowed) {
    logins_.throttled.add();
    co_return http::problem(allowed.error());
  }
  auto login = parse_login(request.body());
  if (!login) co_return http::problem(login.error());

  const auto signed_in = co_await with_.sessions.login(std::move(context), std::move(*login));
  if (!signed_in) {
    const bool locked = signed_in.error().kind == ErrorKind::too_many;
    (locked ? logins_.locked : logins_.refused).add();
    co_return http::problem(signed_in.error());
  }
  logins_.accepted.add();
  co_return private_json(200, signed_in_json(*signed_in));
}

Task<http::Response> HttpApi::refresh(Context context, http::Request request) {
  auto token = parse_refresh_token(request.body());
  if (!token) co_return http::problem(token.error());

  const auto signed_in = co_await with_.sessions.refresh(std::move(context), std::move(*token));
  if (!signed_in) co_return http::problem(signed_in.error());
  co_return private_json(200, signed_in_json(*signed_in));
}

Task<http::Response> HttpApi::logout(Context context, http::Request request) {
  auto token = parse_refresh_token(request.body());
  if (!token) co_return http::problem(token.error());

  co_await with_.sessions.logout(std::move(context), std::move(*token));
  co_return http::no_content();
}

Task<http::Response> HttpApi::logout_all(Context context, http::Request request) {
  const UserId user = request.identity().user;
  co_await with_.sessions.logout_all(std::move(context), user);
  co_return http::no_content();
}

Task<http::Response> HttpApi::show_me(Context context, http::Request request) {
  const UserId id = request.identity().user;
  const auto user = co_await with_.accounts.find(std::move(context), id);
  if (!user) co_return http::problem(user.error());
  if (request.header("if-none-match") == etag_of(*user)) {
    http::Response unchanged{.status = 304};
    unchanged.add_header("etag", etag_of(*user)).add_header("cache-control", "private, no-store");
    co_return unchanged;
  }
  co_return user_response(*user);
}

Task<http::Response> HttpApi::change_me(Context context, http::Request request) {
  auto wanted = parse_change(request.body());
  if (!wanted) co_return http::problem(wanted.error());

  Accounts::Change change{.user = request.identity().user,
                          .session = request.identity().session,
                          .wanted = std::move(*wanted),
                          .version = wanted_version(request.header("if-match"))};
  const auto user = co_await with_.accounts.change(std::move(context), std::move(change));
  if (!user) co_return http::problem(user.error());
  co_return user_response(*user);
}

Task<http::Response> HttpApi::erase_me(Context context, http::Request request) {
  const UserId id = request.identity().user;
  const auto erased = co_await with_.accounts.erase(std::move(context), id);
  if (!erased) co_return http::problem(erased.error());
  with_.on_fact();
  co_return http::no_content();
}

Task<http::Response> HttpApi::jwks(Context context, http::Request) {
  http::Response response{.status = 200};
  response.body = co_await with_.keys.jwks(std::move(context));
  response.add_header("cache-control", jwks_cache_control);
  co_return response;
}

Task<http::Response> HttpApi::revocations(Context context, http::Request request) {
  const auto query = http::QueryString::parse(request, {"since", "after"});
  if (!query) co_return http::problem(query.error());
  std::optional<Instant> since;
  if (const auto text = query->text("since")) {
    since = parse_rfc3339(*text);
    if (!since) {
      co_return http::problem({.kind = ErrorKind::malformed,
                               .code = "bad_parameter",
                               .detail = "since is a time like 2026-11-22T12:00:00.000Z"});
    }
  }
  std::optional<SessionId> after;
  if (const auto text = query->text("after")) {
    after = SessionId::parse(*text);
    if (!after) {
      co_return http::problem({.kind = ErrorKind::malformed,
                               .code = "bad_parameter",
                               .detail = "after is the last session of the answer before: ses_…"});
    }
  }
  const auto revoked = co_await with_.store.revoked(std::move(context), since, after);
  co_return private_json(200, revocations_json(revoked));
}

Task<http::Response> HttpApi::contact(Context context, http::Request request) {
  const auto id = http::id_param<UserId>(request, "id", "user_not_found");
  if (!id) co_return http::problem(id.error());
  const auto user = co_await with_.accounts.find(std::move(context), *id);
  if (!user) co_return http::problem(user.error());
  co_return private_json(200, contact_json(*user));
}

}  // namespace stoa::user
