#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "servicekit/async/context.hpp"

namespace stoa::telemetry {

struct TelemetryConfig {
  std::string service;     ///< "order-service"
  std::string instance{};  ///< host name or pod
  std::string otlp_url{};  ///< "http://127.0.0.1:4318"; empty: no export
  std::string log_level = "info";
  double trace_ratio = 0.05;
};

using Value = std::variant<std::string_view, std::int64_t, double, bool>;
struct Field {
  std::string_view name;
  Value value;
};

/// A counter that its owner resolved once, when it was made: adding costs 30 ns.
class Counter {
 public:
  Counter() = default;
  void add(std::uint64_t count = 1) const;
  void* handle = nullptr;
};
class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double delta) const;
  void* handle = nullptr;
};
class Histogram {
 public:
  Histogram() = default;
  void observe(std::chrono::nanoseconds duration) const;  ///< recorded in seconds
  void* handle = nullptr;
};
using Labels = std::vector<std::pair<std::string, std::string>>;

enum class SpanKind : std::uint8_t { internal, server, client, producer, consumer };

class Telemetry;

/// A span as a value in a coroutine's frame: ends when it is destroyed, on exceptions too. When the
/// parent is not sampled it records nothing and costs nothing.
class Span {
 public:
  Span(Span&& other) noexcept;
  Span& operator=(Span&&) = delete;
  ~Span();
  /// The context to pass on: same trace, this span as parent.
  const TraceContext& context() const { return context_; }
  void set(std::string_view name, Value value);
  void fail(std::string_view why);

 private:
  friend class Telemetry;
  Span() = default;
  TraceContext context_{};
  struct Recording;
  std::unique_ptr<Recording> recording_;
};

/// Log, metrics and traces of one process. Made first, destroyed last. Thread-safe.
class Telemetry {
 public:
  explicit Telemetry(TelemetryConfig config);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  /// One JSON line: ts, level, event, service, then the fields; with trace_id when a context is
  /// given. Asynchronous and bounded: when the queue is full the line is dropped and counted.
  void info(std::string_view event, std::initializer_list<Field> fields = {});
  void warn(std::string_view event, std::initializer_list<Field> fields = {});
  void error(std::string_view event, std::initializer_list<Field> fields = {});
  void info(const Context& context, std::string_view event,
            std::initializer_list<Field> fields = {});
  void warn(const Context& context, std::string_view event,
            std::initializer_list<Field> fields = {});
  void error(const Context& context, std::string_view event,
             std::initializer_list<Field> fields = {});

  /// Registers (or finds) a metric; resolve once, at construction. Names as in contracts/telemetry.
  Counter counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram histogram(std::string_view name, std::string_view help, const Labels& labels = {});

  /// The Prometheus text of all metrics (exposition format 0.0.4).
  std::string exposition();

  /// A span under `parent`; when that names no trace, a new trace whose sampling is decided here by
  /// trace_ratio.
  Span span(const TraceContext& parent, std::string_view name, SpanKind kind);
  /// What an outside trace id becomes: kept, with our own sampling decision.
  TraceContext adopt(const TraceContext& outside);

  /// Exports what is buffered; at most `timeout`.
  void flush(std::chrono::milliseconds timeout);

  const TelemetryConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoa::telemetry
