#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoa {

/// W3C Trace Context level 1, the `traceparent` part. A value, never a thread-local: a suspension
/// cannot swap it.
struct TraceContext {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> span_id{};
  bool sampled = false;

  /// Whether this names a trace at all (all zeros is invalid by the standard).
  bool valid() const;

  /// 55 characters: 00-<trace>-<span>-<flags>.
  std::string traceparent() const;

  /// 32 hexadecimal characters.
  std::string trace_id_hex() const;

  /// Empty for another version's shape, upper case or all-zero ids (section 3.2.2).
  static std::optional<TraceContext> parse(std::string_view text);

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

}  // namespace stoa
