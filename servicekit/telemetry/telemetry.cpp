#include "servicekit/telemetry/telemetry.hpp"

#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include "servicekit/core/require.hpp"
#include "servicekit/telemetry/telemetry_impl.hpp"
#include "servicekit/telemetry/version.hpp"

namespace stoa::telemetry {
namespace {

// Seconds. Fine where a cached read lies, coarse up to the longest deadline of a route.
const prometheus::Histogram::BucketBoundaries duration_buckets{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

prometheus::Labels to_prometheus(const Labels& labels) { return {labels.begin(), labels.end()}; }

Instant now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace

void Counter::add(std::uint64_t count) const {
  if (handle != nullptr) {
    static_cast<prometheus::Counter*>(handle)->Increment(static_cast<double>(count));
  }
}

void Gauge::set(double value) const {
  if (handle != nullptr) static_cast<prometheus::Gauge*>(handle)->Set(value);
}

void Gauge::add(double delta) const {
  if (handle != nullptr) static_cast<prometheus::Gauge*>(handle)->Increment(delta);
}

void Histogram::observe(std::chrono::nanoseconds duration) const {
  if (handle == nullptr) return;
  static_cast<prometheus::Histogram*>(handle)->Observe(
      std::chrono::duration<double>(duration).count());
}

Telemetry::Impl::Impl(TelemetryConfig given)
    : config{std::move(given)},
      level{parse_log_level(config.log_level)},
      ratio{config.trace_ratio},
      process{registry},
      lines_dropped{&prometheus::BuildCounter()
                         .Name("stoa_log_lines_dropped_total")
                         .Help("Log lines dropped because the queue was full")
                         .Register(registry)
                         .Add({})},
      writer{STDOUT_FILENO} {
  prometheus::BuildGauge()
      .Name("stoa_build_info")
      .Help("1, labelled with what runs")
      .Register(registry)
      .Add({{"service", config.service}, {"version", std::string{version()}}})
      .Set(1);
}

void Telemetry::Impl::log(LogLevel line_level, std::string_view event, const Context* context,
                          std::initializer_list<Field> fields) {
  if (line_level < level) return;
  // Reused by every line of this thread; nothing suspends while it is in use.
  thread_local std::string line;
  line.clear();
  append_log_line(line, now(), line_level, {.service = config.service, .instance = config.instance},
                  event, context, fields);
  writer.write(line);
}

Telemetry::Telemetry(TelemetryConfig config) : impl_{std::make_unique<Impl>(std::move(config))} {
  const SpanMeters meters{
      .exported = counter("stoa_spans_exported_total", "Spans that the collector took"),
      .dropped = counter("stoa_spans_dropped_total", "Spans that did not reach the collector",
                         {{"reason", "queue_full"}}),
      .failed = counter("stoa_spans_dropped_total", "Spans that did not reach the collector",
                        {{"reason", "export_failed"}})};
  if (impl_->config.otlp_url.empty()) return;
  const auto url = CollectorUrl::parse(impl_->config.otlp_url);
  require(url.has_value(), "the collector's URL was checked when it was read");
  impl_->spans = std::make_unique<SpanExport>(impl_->config, *url, meters);
}

Telemetry::~Telemetry() = default;

void Telemetry::info(std::string_view event, std::initializer_list<Field> fields) {
  impl_->log(LogLevel::info, event, nullptr, fields);
}
void Telemetry::warn(std::string_view event, std::initializer_list<Field> fields) {
  impl_->log(LogLevel::warn, event, nullptr, fields);
}
void Telemetry::error(std::string_view event, std::initializer_list<Field> fields) {
  impl_->log(LogLevel::error, event, nullptr, fields);
}
void Telemetry::info(const Context& context, std::string_view event,
                     std::initializer_list<Field> fields) {
  impl_->log(LogLevel::info, event, &context, fields);
}
void Telemetry::warn(const Context& context, std::string_view event,
                     std::initializer_list<Field> fields) {
  impl_->log(LogLevel::warn, event, &context, fields);
}
void Telemetry::error(const Context& context, std::string_view event,
                      std::initializer_list<Field> fields) {
  impl_->log(LogLevel::error, event, &context, fields);
}

Counter Telemetry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  auto& family = prometheus::BuildCounter()
                     .Name(std::string{name})
                     .Help(std::string{help})
                     .Register(impl_->registry);
  Counter counter;
  counter.handle = &family.Add(to_prometheus(labels));
  return counter;
}

Gauge Telemetry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  auto& family = prometheus::BuildGauge()
                     .Name(std::string{name})
                     .Help(std::string{help})
                     .Register(impl_->registry);
  Gauge gauge;
  gauge.handle = &family.Add(to_prometheus(labels));
  return gauge;
}

Histogram Telemetry::histogram(std::string_view name, std::string_view help, const Labels& labels) {
  auto& family = prometheus::BuildHistogram()
                     .Name(std::string{name})
                     .Help(std::string{help})
                     .Register(impl_->registry);
  Histogram histogram;
  histogram.handle = &family.Add(to_prometheus(labels), duration_buckets);
  return histogram;
}

std::string Telemetry::exposition() {
  impl_->process.update();
  const double dropped = static_cast<double>(impl_->writer.dropped());
  impl_->lines_dropped->Increment(dropped - impl_->lines_dropped->Value());
  return prometheus::TextSerializer{}.Serialize(impl_->registry.Collect());
}

TraceContext Telemetry::adopt(const TraceContext& outside) {
  TraceContext ours = outside;
  ours.sampled = outside.valid() && impl_->ratio.samples(outside.trace_id);
  return ours;
}

void Telemetry::flush(std::chrono::milliseconds timeout) {
  if (impl_->spans) impl_->spans->flush(timeout);
  impl_->writer.flush(timeout);
}

const TelemetryConfig& Telemetry::config() const { return impl_->config; }

}  // namespace stoa::telemetry
