#include "servicekit/http/client.hpp"

#include <stdexcept>
#include <utility>

#include "servicekit/core/ascii.hpp"
#include "servicekit/http/detail/loop_client.hpp"

namespace stoa::http {
namespace {

detail::ClientMetrics metrics_of(telemetry::Telemetry& telemetry, const ClientConfig& config) {
  telemetry::Labels labels{{"callee", config.name}};
  detail::ClientMetrics metrics;
  metrics.duration = telemetry.histogram("stoa_http_client_duration_seconds",
                                         "Time of a call, retries included", labels);
  metrics.retries = telemetry.counter("stoa_http_client_retries_total",
                                      "Calls sent again, to the same or another address", labels);
  labels.emplace_back("outcome", "unavailable");
  constexpr std::string_view help = "Calls by status class, or unavailable";
  metrics.unavailable = telemetry.counter("stoa_http_client_requests_total", help, labels);
  constexpr std::array<std::string_view, 5> classes{"1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < classes.size(); ++i) {
    labels.back().second = classes[i];
    metrics.by_class[i] = telemetry.counter("stoa_http_client_requests_total", help, labels);
  }
  for (const std::string& address : config.addresses) {
    metrics.breaker_open.push_back(telemetry.gauge(
        "stoa_http_client_breaker_open", "1 while the breaker of an address is open",
        {{"callee", config.name}, {"address", address}}));
  }
  return metrics;
}

bool idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::del:
    case Method::options:
      return true;
    case Method::post:
    case Method::patch:
      return false;
  }
  std::unreachable();
}

}  // namespace

bool is_hop_by_hop(std::string_view name) {
  // By length first: most headers cost one comparison of integers.
  switch (name.size()) {
    case 2:
      return equal_ignoring_case(name, "te");
    case 6:
      return equal_ignoring_case(name, "expect");
    case 7:
      return equal_ignoring_case(name, "trailer") || equal_ignoring_case(name, "upgrade");
    case 10:
      return equal_ignoring_case(name, "connection") || equal_ignoring_case(name, "keep-alive");
    case 14:
      return equal_ignoring_case(name, "content-length");
    case 16:
      return equal_ignoring_case(name, "proxy-connection");
    case 17:
      return equal_ignoring_case(name, "transfer-encoding");
    case 18:
      return equal_ignoring_case(name, "proxy-authenticate");
    case 19:
      return equal_ignoring_case(name, "proxy-authorization");
    default:
      return false;
  }
}

std::string_view ClientResponse::header(std::string_view name) const {
  std::string_view rest = headers;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    if (line.size() > name.size() + 1 && line[name.size()] == ':' &&
        equal_ignoring_case(line.substr(0, name.size()), name)) {
      return line.substr(name.size() + 2);
    }
    rest.remove_prefix(end + 2);
  }
  return {};
}

struct Client::Impl {
  enum class Mode : std::uint8_t { whole, streaming };

  static Task<ClientResponse> call(Impl* impl, Mode mode, Context context, ClientRequest request);

  std::vector<std::shared_ptr<detail::LoopClient>> per_loop;
  ClientConfig config;
  telemetry::Telemetry& telemetry;
};

Client::Client(Loops& loops, ClientConfig config, telemetry::Telemetry& telemetry)
    : impl_{std::make_unique<Impl>(std::vector<std::shared_ptr<detail::LoopClient>>{},
                                   std::move(config), telemetry)} {
  if (impl_->config.addresses.empty()) {
    throw std::runtime_error{"no address of " + impl_->config.name + " is configured"};
  }
  for (std::size_t i = 0; i < loops.count(); ++i) {
    impl_->per_loop.push_back(std::make_shared<detail::LoopClient>(
        loops.at(i), impl_->config, metrics_of(telemetry, impl_->config)));
  }
}

Client::~Client() = default;

Task<ClientResponse> Client::Impl::call(Impl* impl, Mode mode, Context context,
                                        ClientRequest request) {
  auto client = impl->per_loop[Loops::current()];
  telemetry::Span span =
      impl->telemetry.span(context.trace, impl->config.name, telemetry::SpanKind::client);
  context.trace = span.context();
  request.idempotent = request.idempotent || idempotent(request.method);
  // An upload takes what its route allows: each piece has the timeout for itself.
  const auto deadline =
      request.upload ? context.deadline : context.within(impl->config.timeout).deadline;
  detail::LoopClient::Call made{.context = std::move(context),
                                .request = std::move(request),
                                .may_stream = mode == Mode::streaming,
                                .deadline = deadline};
  ClientResponse response = co_await detail::LoopClient::send(std::move(client), std::move(made));
  span.set("http.response.status_code", std::int64_t{response.status});
  co_return response;
}

Task<ClientResponse> Client::send(Context context, ClientRequest request) {
  return Impl::call(impl_.get(), Impl::Mode::whole, std::move(context), std::move(request));
}

Task<ClientResponse> Client::open(Context context, ClientRequest request) {
  return Impl::call(impl_.get(), Impl::Mode::streaming, std::move(context), std::move(request));
}

}  // namespace stoa::http
