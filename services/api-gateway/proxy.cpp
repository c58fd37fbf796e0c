#include "services/api-gateway/proxy.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <optional>
#include <utility>

#include "servicekit/core/ascii.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa::gateway {
namespace {

// A body up to this many bytes is held whatever its path; a larger one takes a place for large
// bodies, or passes through where the path takes uploads.
constexpr std::size_t collected_max = std::size_t{64} * 1024;
// Larger bodies held at a time, at most 1 MiB each.
constexpr std::size_t large_bodies_max = 64;
// A body that is collected arrives within this time, however its pieces are spaced.
constexpr std::chrono::seconds collect_for{30};

http::Response no_route() {
  return http::problem({.kind = ErrorKind::not_found,
                        .code = "route_not_found",
                        .detail = "there is nothing at this path"});
}

http::Response too_large() {
  return http::problem({.kind = ErrorKind::too_large,
                        .code = "body_too_large",
                        .detail = "the body is too large for this resource"});
}

// What only we may say to a service, beside the framing.
bool is_ours(std::string_view name) {
  constexpr std::array<std::string_view, 6> names{"host",        "forwarded",    "x-real-ip",
                                                  "traceparent", "x-request-id", "x-deadline-ms"};
  return std::ranges::any_of(
      names, [&](std::string_view ours) { return equal_ignoring_case(name, ours); });
}

bool is_dropped(std::string_view name, std::string_view connection_lists) {
  if (http::is_hop_by_hop(name) || is_ours(name) || starts_ignoring_case(name, "x-user-") ||
      starts_ignoring_case(name, "x-forwarded-")) {
    return true;
  }
  // What Connection names belongs to this hop (RFC 9110 section 7.6.1). A client cannot take away
  // its own token: naming Authorization there only drops it, and the service asks for one.
  while (!connection_lists.empty()) {
    const std::size_t end = std::min(connection_lists.find(','), connection_lists.size());
    std::string_view option = connection_lists.substr(0, end);
    connection_lists.remove_prefix(std::min(end + 1, connection_lists.size()));
    while (option.starts_with(' ')) option.remove_prefix(1);
    while (option.ends_with(' ')) option.remove_suffix(1);
    if (equal_ignoring_case(option, name)) return true;
  }
  return false;
}

std::string_view outer_proto(const http::Request& request) {
  const std::string_view told = request.header("x-forwarded-proto");
  return request.behind_proxy() && told == "https" ? "https" : "http";
}

std::string request_headers(const http::Request& request) {
  struct Lines {
    std::string text;
    std::string_view connection;
  } lines{.text = {}, .connection = request.header("connection")};
  if (equal_ignoring_case(lines.connection, "keep-alive") ||
      equal_ignoring_case(lines.connection, "close")) {
    lines.connection = {};
  }
  lines.text.reserve(512);
  request.each_header([&lines](std::string_view name, std::string_view value) {
    if (is_dropped(name, lines.connection)) return;
    lines.text.append(name).append(": ").append(value).append("\r\n");
  });
  lines.text.append("x-forwarded-for: ").append(request.client_address());
  lines.text.append("\r\nx-forwarded-proto: ").append(outer_proto(request));
  lines.text.append("\r\nx-forwarded-host: ").append(request.header("host")).append("\r\n");
  return std::move(lines.text);
}

// The server writes its own date and request id.
std::string answer_headers(std::string lines) {
  std::size_t from = 0;
  while (from < lines.size()) {
    const std::size_t end = lines.find("\r\n", from) + 2;
    const auto name = std::string_view{lines}.substr(from, lines.find(':', from) - from);
    if (equal_ignoring_case(name, "date") || equal_ignoring_case(name, "x-request-id")) {
      lines.erase(from, end - from);
    } else {
      from = end;
    }
  }
  return lines;
}

std::optional<std::uint64_t> content_length(const http::Request& request) {
  const std::string_view text = request.header("content-length");
  std::uint64_t length = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), length);
  return read.ec == std::errc{} ? std::optional{length} : std::nullopt;
}

/// A place for a large body; throws Unavailable when all are taken.
class LargeBody {
 public:
  explicit LargeBody(std::atomic<std::size_t>& taken) : taken_{taken} {
    if (taken_.fetch_add(1) < large_bodies_max) return;
    taken_.fetch_sub(1);
    throw Unavailable{"too many large bodies are on their way"};
  }
  LargeBody(const LargeBody&) = delete;
  LargeBody& operator=(const LargeBody&) = delete;
  ~LargeBody() { taken_.fetch_sub(1); }

 private:
  std::atomic<std::size_t>& taken_;
};

bool is_idempotent_by_key(const http::Request& request) {
  return !request.header("idempotency-key").empty() && honours_idempotency_key(request.path());
}

/// The client's body as it arrives. What was read ahead comes first.
class Upload final : public http::BodySource {
 public:
  Upload(http::Request request, std::string first) : request_{request}, first_{std::move(first)} {}

  Task<std::string> next() override {
    if (!first_.empty()) co_return std::exchange(first_, {});
    std::string piece = co_await request_.next_chunk();
    co_return piece;
  }

 private:
  http::Request request_;
  std::string first_;
};

bool is_read(http::Method method) {
  return method == http::Method::get || method == http::Method::head;
}

Admission::Limits admission_limits(const UpstreamSettings& settings) {
  Admission::Limits limits{.target = settings.target};
  limits.most = std::max<std::size_t>(settings.connections_max + settings.waiting_max, 1);
  limits.first = std::min(limits.first, limits.most);
  limits.least = std::min(limits.least, limits.most);
  return limits;
}

}  // namespace

Proxy::Proxy(Loops& loops, telemetry::Telemetry& telemetry, Parts parts)
    : parts_{parts},
      admissions_{loops, [&](boost::asio::io_context&) {
                    auto all = std::make_unique<Admissions>();
                    for (auto& one : *all) {
                      one = std::make_shared<Admission>(admission_limits(parts.settings));
                    }
                    return all;
                  }} {
  constexpr std::array<std::string_view, upstream_count> names{"user", "product", "order",
                                                               "payment"};
  for (std::size_t i = 0; i < upstream_count; ++i) {
    shed_[i] = telemetry.counter("stoa_gateway_shed_total",
                                 "Requests refused because their service is slow",
                                 {{"service", std::string{names[i]} + "-service"}});
  }
}

std::unique_ptr<Place> Proxy::take_place(const http::Request& request, Upstream upstream) {
  const auto index = static_cast<std::size_t>(upstream);
  const std::size_t kind = is_read(request.method()) ? 0 : upstream_count;
  auto place = Place::take(admissions_.local()[index + kind]);
  if (!place) shed_[index].add();
  return place;
}

void Proxy::mount(http::Router& router) {
  for (const std::string_view prefix : public_prefixes()) {
    router.under(prefix, http::anyone,
                 [this](Context context, http::Request request) {
                   return forward(std::move(context), request);
                 },
                 {.body_max = import_body_max,
                  .streamed = true,
                  .content_type = "",
                  .deadline = parts_.settings.upload_timeout});
  }
}

Task<http::Response> Proxy::forward(Context context, http::Request request) {
  if (Cors::is_preflight(request)) co_return parts_.cors->answer_preflight(request);
  const auto destination = find_destination(request.path());
  if (!destination) co_return no_route();
  // A service's token opens internal routes, and those are not behind this door.
  if (request.identity().kind == http::Identity::Kind::service) co_return no_route();

  auto verdict =
      parts_.limits->take(request, traffic_of(http::name(request.method()), request.path()));
  if (verdict.refusal) co_return std::move(*verdict.refusal);
  if (content_length(request).value_or(0) > destination->body_max) co_return too_large();

  http::Response response = co_await call(std::move(context), request, *destination);
  response.headers += verdict.headers;
  co_return response;
}

Task<http::Response> Proxy::call(Context context, http::Request request, Destination destination) {
  http::ClientRequest forwarded{.method = request.method(),
                                .target = std::string{request.target()},
                                .headers = request_headers(request),
                                .content_type = "",
                                .idempotent = is_idempotent_by_key(request)};
  const auto length = content_length(request);
  bool ended = !length && request.header("transfer-encoding").empty();
  const auto until = std::chrono::steady_clock::now() + collect_for;
  std::optional<LargeBody> large;
  // The client's pace ends here: a connection to a service never waits for a body, uploads apart.
  while (!ended) {
    if (forwarded.body.size() > destination.body_max) co_return too_large();
    if (forwarded.body.size() > collected_max) {
      if (destination.is_streamed) break;
      if (!large) large.emplace(large_bodies_);
    }
    const std::string piece = co_await request.next_chunk(until);
    ended = piece.empty();
    forwarded.body += piece;
    if (length && forwarded.body.size() == *length) ended = true;
  }
  if (!destination.is_streamed) context = context.within(parts_.settings.timeout);
  if (!ended) {
    forwarded.upload = std::make_shared<Upload>(request, std::exchange(forwarded.body, {}));
    forwarded.upload_length = length;
  }
  std::unique_ptr<Place> place;
  // An upload takes as long as its client likes, so it tells nothing of the service.
  if (!destination.is_streamed) {
    place = take_place(request, destination.upstream);
    if (!place) co_return http::unavailable_problem();
  }
  const auto client = parts_.clients[static_cast<std::size_t>(destination.upstream)];
  auto answer = co_await client->open(std::move(context), std::move(forwarded));
  if (place) place->answered(answer.status);

  http::Response response{.status = answer.status,
                          .body = std::move(answer.body),
                          .content_type = "",
                          .headers = answer_headers(std::move(answer.headers)),
                          .stream = std::move(answer.stream)};
  response.stream_length = answer.stream_length;
  co_return response;
}

}  // namespace stoa::gateway
