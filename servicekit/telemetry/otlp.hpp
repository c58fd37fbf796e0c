#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "servicekit/telemetry/telemetry.hpp"

/// The OpenTelemetry protocol 1.x, traces only, as protobuf bytes. Field numbers are those of
/// opentelemetry/proto/trace/v1/trace.proto and collector/trace/v1/trace_service.proto, which are
/// stable; the tests read the bytes with the classes generated from those files.
namespace stoa::telemetry::otlp {

using UnixNanoseconds = std::chrono::sys_time<std::chrono::nanoseconds>;

struct SpanStart {
  TraceContext context;                ///< of the span itself
  std::array<std::uint8_t, 8> parent;  ///< all zeros: a root
  std::string_view name;
  SpanKind kind;
  UnixNanoseconds at;
};

/// One Span message, written as it happens, so that recording costs a few appends to one string.
class SpanMessage {
 public:
  /// Beyond this an attribute is left out.
  static constexpr std::size_t bytes_max = 8 * 1024;

  explicit SpanMessage(const SpanStart& start);
  void attribute(std::string_view name, const Value& value);
  void fail(std::string_view why);
  /// The finished message.
  std::string end(UnixNanoseconds at) &&;

 private:
  std::string bytes_;
};

struct Origin {
  std::string_view service;
  std::string_view instance;
  std::string_view version;
};

/// An ExportTraceServiceRequest of `spans`.
std::string export_request(const Origin& origin, std::span<const std::string> spans);

}  // namespace stoa::telemetry::otlp
