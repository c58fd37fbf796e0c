#include "servicekit/async/trace_context.hpp"

#include <algorithm>
#include <span>

#include "servicekit/core/encoding.hpp"

namespace stoa {
namespace {

constexpr std::size_t traceparent_length = 55;

int lower_hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, std::span<std::uint8_t> into) {
  for (std::size_t i = 0; i < into.size(); ++i) {
    const int high = lower_hex_value(text[2 * i]);
    const int low = lower_hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    into[i] = static_cast<std::uint8_t>((high << 4) | low);
  }
  return true;
}

bool all_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

bool TraceContext::valid() const { return !all_zero(trace_id) && !all_zero(span_id); }

std::string TraceContext::traceparent() const {
  std::string text{"00-"};
  text.reserve(traceparent_length);
  append_hex(text, trace_id);
  text += '-';
  append_hex(text, span_id);
  text += sampled ? "-01" : "-00";
  return text;
}

std::string TraceContext::trace_id_hex() const { return hex(trace_id); }

std::optional<TraceContext> TraceContext::parse(std::string_view text) {
  // A higher version may be longer, and its first 55 characters are to be read as version 00.
  if (text.size() < traceparent_length || text.starts_with("ff")) return std::nullopt;
  if (text.starts_with("00") && text.size() != traceparent_length) return std::nullopt;
  if (text.size() > traceparent_length && text[traceparent_length] != '-') return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  TraceContext context;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  if (!read_hex(text.substr(0, 2), version) || !read_hex(text.substr(3, 32), context.trace_id) ||
      !read_hex(text.substr(36, 16), context.span_id) || !read_hex(text.substr(53, 2), flags)) {
    return std::nullopt;
  }
  if (!context.valid()) return std::nullopt;
  context.sampled = (flags[0] & 1U) != 0;
  return context;
}

}  // namespace stoa
