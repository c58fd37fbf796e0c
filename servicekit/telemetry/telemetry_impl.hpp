#pragma once

#include <memory>

#include <prometheus/registry.h>

#include "servicekit/telemetry/log_line.hpp"
#include "servicekit/telemetry/log_writer.hpp"
#include "servicekit/telemetry/process_metrics.hpp"
#include "servicekit/telemetry/sampling.hpp"
#include "servicekit/telemetry/span_export.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::telemetry {

struct Telemetry::Impl {
  explicit Impl(TelemetryConfig given);

  void log(LogLevel level, std::string_view event, const Context* context,
           std::initializer_list<Field> fields);

  TelemetryConfig config;
  LogLevel level;
  TraceRatio ratio;
  prometheus::Registry registry;
  ProcessMetrics process;
  prometheus::Counter* lines_dropped;
  LogWriter writer;
  std::unique_ptr<SpanExport> spans;  ///< empty: no collector is configured
};

}  // namespace stoa::telemetry
