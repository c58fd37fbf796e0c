#include "servicekit/http/detail/pipeline.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "servicekit/core/ascii.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/core/uuid.hpp"
#include "servicekit/http/detail/render.hpp"

namespace stoa::http::detail {
namespace {

using boost::asio::ip::make_address;
using Clock = std::chrono::steady_clock;

constexpr std::size_t request_id_max = 64;
constexpr std::size_t logged_path_max = 128;
constexpr std::size_t bits_per_byte = 8;
constexpr std::int64_t deadline_header_max_ms = 600'000;

AddressBytes address_bytes(const boost::asio::ip::address& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto v6 = address.to_v6();
  // A dual-stack listener shows IPv4 peers as mapped addresses.
  if (v6.is_v4_mapped()) {
    const auto bytes = make_address_v4(boost::asio::ip::v4_mapped, v6).to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto bytes = v6.to_bytes();
  return {bytes.begin(), bytes.end()};
}

std::optional<AddressBytes> parse_address(std::string_view text) {
  boost::system::error_code error;
  const auto address = make_address(text, error);
  if (error) return std::nullopt;
  return address_bytes(address);
}

bool good_request_id(std::string_view id) {
  return !id.empty() && id.size() <= request_id_max && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size()) return {};
  if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
  return authorization.substr(scheme.size());
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Response refusal(ErrorKind kind, std::string_view code, std::string detail) {
  return problem({.kind = kind, .code = code, .detail = std::move(detail)});
}

std::optional<Method> known_method(llhttp_method_t method) {
  switch (method) {
    case HTTP_GET:
      return Method::get;
    case HTTP_HEAD:
      return Method::head;
    case HTTP_POST:
      return Method::post;
    case HTTP_PUT:
      return Method::put;
    case HTTP_PATCH:
      return Method::patch;
    case HTTP_DELETE:
      return Method::del;
    case HTTP_OPTIONS:
      return Method::options;
    default:
      return std::nullopt;
  }
}

Response method_not_allowed(std::string_view allow) {
  Response response =
      make_problem(405, "method_not_allowed", "this resource does not take the method", false);
  response.add_header("allow", allow);
  return response;
}

Response internal_error() {
  return make_problem(500, "internal_error", "this should not have happened", false);
}

bool carries_body(Method method) {
  return method == Method::post || method == Method::put || method == Method::patch;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    const std::size_t slash = entry.find('/');
    auto bytes = parse_address(std::string_view{entry}.substr(0, slash));
    require(bytes.has_value(), "a trusted proxy is an address or a CIDR block");
    std::size_t bits = bytes->size() * bits_per_byte;
    if (slash != std::string::npos) {
      const char* const end = entry.data() + entry.size();
      const auto read = std::from_chars(entry.data() + slash + 1, end, bits);
      require(read.ec == std::errc{} && read.ptr == end && bits <= bytes->size() * bits_per_byte,
              "a trusted proxy is an address or a CIDR block");
    }
    blocks_.push_back({.bytes = std::move(*bytes), .bits = bits});
  }
}

bool TrustedProxies::contains(std::string_view address) const {
  if (blocks_.empty()) return false;
  const auto bytes = parse_address(address);
  if (!bytes) return false;
  return std::ranges::any_of(blocks_, [&](const Block& block) {
    if (block.bytes.size() != bytes->size()) return false;
    for (std::size_t bit = 0; bit < block.bits; ++bit) {
      const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % bits_per_byte));
      const std::size_t at = bit / bits_per_byte;
      if (((block.bytes[at] ^ (*bytes)[at]) & mask) != 0) return false;
    }
    return true;
  });
}

Pipeline::Pipeline(Parts parts)
    : parts_{parts}, proxies_{parts.config->trusted_proxies}, random_{std::random_device{}()} {}

std::optional<Response> Pipeline::begin(Exchange& exchange, std::string_view peer,
                                        bool peer_trusted) {
  exchange.started = Clock::now();
  exchange.params.clear();
  exchange.identity = {};
  exchange.context = {};
  exchange.route = parts_.routes->unmatched.get();
  identify_request(exchange);
  read_client_address(exchange, peer, peer_trusted);
  auto refused = find_route(exchange);
  trace(exchange);
  if (!refused) refused = check_body(exchange);
  return refused;
}

void Pipeline::identify_request(Exchange& exchange) {
  const std::string_view sent = exchange.message->header("x-request-id");
  if (good_request_id(sent)) {
    exchange.context.request_id = std::make_shared<const std::string>(sent);
    return;
  }
  std::array<std::uint8_t, 16> random{};
  const std::array<std::uint64_t, 2> words{random_(), random_()};
  std::memcpy(random.data(), words.data(), random.size());
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Uuid id = uuid_v7(now, std::span{random}.first<10>());
  exchange.context.request_id = std::make_shared<const std::string>(id.str());
}

void Pipeline::trace(Exchange& exchange) const {
  TraceContext parent;
  if (const auto outside = TraceContext::parse(exchange.message->header("traceparent"))) {
    parent = parts_.telemetry->adopt(*outside);
  }
  exchange.span.emplace(parts_.telemetry->span(
      parent, exchange.route->span_names[static_cast<std::size_t>(exchange.method)],
      telemetry::SpanKind::server));
  exchange.context.trace = exchange.span->context();
}

std::optional<Response> Pipeline::find_route(Exchange& exchange) const {
  const auto method = known_method(exchange.message->method());
  if (!method) return method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  exchange.method = *method;
  const Match match = parts_.routes->match(*method, exchange.path(), exchange.params);
  auto timeout = RouteOptions{}.deadline;
  if (match.kind == Match::Kind::found) {
    exchange.route = match.route;
    timeout = match.route->options.deadline;
  }
  exchange.context.deadline = exchange.started + timeout;
  if (parts_.config->trust_deadline_header) {
    const std::string_view sent = exchange.message->header("x-deadline-ms");
    std::int64_t left_ms = 0;
    const auto read = std::from_chars(sent.data(), sent.data() + sent.size(), left_ms);
    if (read.ec == std::errc{} && left_ms >= 0 && left_ms <= deadline_header_max_ms) {
      exchange.context.deadline = std::min(exchange.context.deadline,
                                           exchange.started + std::chrono::milliseconds{left_ms});
    }
  }
  switch (match.kind) {
    case Match::Kind::found:
      return std::nullopt;
    case Match::Kind::no_path:
      return refusal(ErrorKind::not_found, "route_not_found", "there is nothing at this path");
    case Match::Kind::no_method:
      return method_not_allowed(match.path->allow);
    case Match::Kind::bad_path:
      return refusal(ErrorKind::malformed, "malformed_path", "the path has a bad escape");
  }
  std::unreachable();
}

std::optional<Response> Pipeline::check_body(const Exchange& exchange) const {
  const Message& message = *exchange.message;
  const RouteOptions& options = exchange.route->options;
  if (message.has_length() && message.length() > options.body_max) {
    return problem_of({413, "body_too_large", "the body is too large for this resource"});
  }
  const std::string_view expect = message.header("expect");
  if (!expect.empty() && !equal_ignoring_case(expect, "100-continue")) {
    return problem_of({417, "expectation_failed", "only 100-continue is known here"});
  }
  if (!message.announces_body() || options.content_type.empty() || !carries_body(exchange.method)) {
    return std::nullopt;
  }
  const std::string_view type = message.header("content-type");
  if (equal_ignoring_case(trimmed(type.substr(0, type.find(';'))), options.content_type))
    return std::nullopt;
  return refusal(ErrorKind::unsupported_media, "unsupported_media_type",
                 "this resource takes " + std::string{options.content_type});
}

void Pipeline::read_client_address(Exchange& exchange, std::string_view peer,
                                   bool peer_trusted) const {
  exchange.client_address.assign(peer);
  exchange.behind_proxy = peer_trusted;
  if (!peer_trusted) return;
  // The last entry that is no proxy of ours: what stands before it is the client's own claim.
  std::string chain;
  exchange.message->each_header([&](std::string_view name, std::string_view value) {
    if (!equal_ignoring_case(name, "x-forwarded-for")) return;
    if (!chain.empty()) chain += ',';
    chain += value;
  });
  std::string_view rest = chain;
  while (!rest.empty()) {
    const std::size_t comma = rest.rfind(',');
    const std::size_t from = comma == std::string_view::npos ? 0 : comma + 1;
    const std::string_view entry = trimmed(rest.substr(from));
    if (!parse_address(entry)) return;
    exchange.client_address.assign(entry);
    if (!proxies_.contains(entry) || comma == std::string_view::npos) return;
    rest = rest.substr(0, comma);
  }
}

bool Pipeline::needs_identity(const Exchange& exchange) {
  return exchange.route->access.kind != Access::Kind::anyone ||
         exchange.message->count("authorization") > 0;
}

Task<std::optional<Response>> Pipeline::admit(Exchange* exchange) const {
  if (parts_.authenticator == nullptr) co_return std::nullopt;
  const std::string_view token = bearer_token(exchange->message->header("authorization"));
  const bool twice = exchange->message->count("authorization") > 1;
  if (token.empty() || twice) {
    co_return refusal(ErrorKind::unauthenticated, "token_missing", "a bearer token is needed");
  }
  std::optional<Response> failed;
  try {
    auto identity = co_await parts_.authenticator->authenticate(exchange->context, token);
    if (!identity) co_return problem(identity.error());
    exchange->identity = std::move(*identity);
  } catch (const Unavailable& error) {
    parts_.telemetry->warn(exchange->context, "http_unavailable", {{"detail", error.what()}});
    failed = unavailable_problem();
  } catch (const std::exception& error) {
    parts_.telemetry->error(exchange->context, "http_identity_failed", {{"detail", error.what()}});
    failed = internal_error();
  }
  if (failed) co_return std::move(*failed);
  co_return refuse_access(exchange->route->access, exchange->identity);
}

std::optional<Response> Pipeline::refuse_access(const Access& access, const Identity& identity) {
  const auto wrong_caller = [] {
    return refusal(ErrorKind::forbidden, "caller_not_allowed", "this is not for this caller");
  };
  switch (access.kind) {
    case Access::Kind::anyone:
      return std::nullopt;
    case Access::Kind::signed_in:
      if (identity.kind == Identity::Kind::user) return std::nullopt;
      return wrong_caller();
    case Access::Kind::scope:
      if (identity.kind != Identity::Kind::user) return wrong_caller();
      if (identity.may(access.scope)) return std::nullopt;
      return refusal(ErrorKind::forbidden, "scope_missing",
                     "the scope " + std::string{access.scope} + " is needed");
    case Access::Kind::service:
      if (identity.kind == Identity::Kind::service &&
          std::ranges::contains(access.services, identity.service)) {
        return std::nullopt;
      }
      return wrong_caller();
  }
  std::unreachable();
}

Task<Response> Pipeline::answer(Exchange* exchange) const {
  try {
    Response response = co_await exchange->route->handler(exchange->context, Request{exchange});
    co_return response;
  } catch (const Unavailable& error) {
    parts_.telemetry->warn(exchange->context, "http_unavailable", {{"detail", error.what()}});
  } catch (const std::exception& error) {
    parts_.telemetry->error(exchange->context, "http_handler_failed", {{"detail", error.what()}});
    exchange->span->fail(error.what());
    co_return internal_error();
  }
  co_return unavailable_problem();
}

void Pipeline::finish(Exchange& exchange, Response& response) const {
  if (parts_.config->on_response) parts_.config->on_response(Request{&exchange}, response);
  const auto duration = Clock::now() - exchange.started;
  const auto status_class =
      std::clamp<std::size_t>(static_cast<std::size_t>(response.status) / 100, 1, 5) - 1;
  exchange.route->duration.observe(duration);
  exchange.route->by_class[status_class].add();
  exchange.span->set("http.response.status_code", std::int64_t{response.status});
  if (status_class == 4) exchange.span->fail("server error");
  parts_.telemetry->info(
      exchange.context, "http_request",
      {{"method", name(exchange.method)},
       {"route", std::string_view{exchange.route->pattern}},
       {"path", exchange.path().substr(0, logged_path_max)},
       {"status", std::int64_t{response.status}},
       {"duration_us",
        std::int64_t{std::chrono::duration_cast<std::chrono::microseconds>(duration).count()}}});
  exchange.span.reset();
}

}  // namespace stoa::http::detail
