// Stands in for servicekit/telemetry at link time until it is there.
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::telemetry {
struct Telemetry::Impl {
  TelemetryConfig config;
};
struct Span::Recording {};
void Counter::add(std::uint64_t) const {}
void Gauge::set(double) const {}
void Gauge::add(double) const {}
void Histogram::observe(std::chrono::nanoseconds) const {}
Span::Span(Span&& other) noexcept = default;
Span::~Span() = default;
void Span::set(std::string_view, Value) {}
void Span::fail(std::string_view) {}
Telemetry::Telemetry(TelemetryConfig config) : impl_{std::make_unique<Impl>(std::move(config))} {}
Telemetry::~Telemetry() = default;
void Telemetry::info(std::string_view, std::initializer_list<Field>) {}
void Telemetry::warn(std::string_view, std::initializer_list<Field>) {}
void Telemetry::error(std::string_view, std::initializer_list<Field>) {}
void Telemetry::info(const Context&, std::string_view, std::initializer_list<Field>) {}
void Telemetry::warn(const Context&, std::string_view, std::initializer_list<Field>) {}
void Telemetry::error(const Context&, std::string_view, std::initializer_list<Field>) {}
Counter Telemetry::counter(std::string_view, std::string_view, const Labels&) { return {}; }
Gauge Telemetry::gauge(std::string_view, std::string_view, const Labels&) { return {}; }
Histogram Telemetry::histogram(std::string_view, std::string_view, const Labels&) { return {}; }
std::string Telemetry::exposition() { return {}; }
Span Telemetry::span(const TraceContext& parent, std::string_view, SpanKind) {
  Span span;
  span.context_ = parent;
  if (!parent.valid()) span.context_.trace_id.fill(7);
  span.context_.span_id.fill(9);
  return span;
}
TraceContext Telemetry::adopt(const TraceContext& outside) { return outside; }
void Telemetry::flush(std::chrono::milliseconds) {}
const TelemetryConfig& Telemetry::config() const { return impl_->config; }
}  // namespace stoa::telemetry
