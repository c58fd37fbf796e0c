#include <array>

#include <unistd.h>

#include "servicekit/runtime/service.hpp"
#include "servicekit/telemetry/collector.hpp"

namespace stoa::runtime {
namespace {

constexpr std::uint16_t admin_offset = 1'000;
constexpr std::int64_t port_max = 65'535;
constexpr std::int64_t loops_max = 64;
constexpr double default_trace_ratio = 0.05;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::uint16_t port(Environment& environment, std::string_view name, std::uint16_t fallback) {
  return static_cast<std::uint16_t>(environment.number(name, fallback, 0, port_max));
}

}  // namespace

ServiceConfig ServiceConfig::read(Environment& environment, std::string_view service,
                                  std::uint16_t default_port) {
  ServiceConfig config;
  config.server.address = environment.text("STOA_ADDRESS", "0.0.0.0");
  config.server.port = port(environment, "STOA_PORT", default_port);
  // It can only shorten the deadline of whoever sends it.
  config.server.trust_deadline_header = true;
  config.server.trusted_proxies = environment.list("STOA_TRUSTED_PROXIES", "");
  config.admin_address = environment.text("STOA_ADMIN_ADDRESS", "0.0.0.0");
  config.admin_port =
      port(environment, "STOA_ADMIN_PORT", static_cast<std::uint16_t>(default_port + admin_offset));
  config.loops = static_cast<std::size_t>(environment.number("STOA_LOOPS", 1, 1, loops_max));
  config.telemetry = {
      .service = std::string{service},
      .instance = environment.text("STOA_INSTANCE", host_name()),
      .otlp_url = environment.text("STOA_OTLP_URL", ""),
      .log_level = environment.one_of("STOA_LOG_LEVEL", "info", {"info", "warn", "error", "off"}),
      .trace_ratio = environment.ratio("STOA_TRACE_RATIO", default_trace_ratio)};
  const std::string& url = config.telemetry.otlp_url;
  environment.demand(url.empty() || telemetry::CollectorUrl::parse(url).has_value(),
                     "STOA_OTLP_URL", "must be http://host:port");
  return config;
}

}  // namespace stoa::runtime
