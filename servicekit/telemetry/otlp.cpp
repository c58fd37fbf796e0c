#include "servicekit/telemetry/otlp.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"

namespace stoa::telemetry::otlp {
namespace {

// protobuf wire types (encoding guide, "Message structure").
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, length_delimited = 2 };

constexpr std::uint64_t status_error = 2;

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7fU) | 0x80U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

void append_tag(std::string& out, std::uint32_t field, Wire wire) {
  append_varint(out, (std::uint64_t{field} << 3U) | static_cast<std::uint64_t>(wire));
}

void append_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  append_tag(out, field, Wire::varint);
  append_varint(out, value);
}

void append_fixed(std::string& out, std::uint32_t field, std::uint64_t value) {
  append_tag(out, field, Wire::fixed64);
  for (unsigned shift = 0; shift < 64; shift += 8) out += static_cast<char>(value >> shift);
}

void append_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_tag(out, field, Wire::length_delimited);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_bytes(std::string& out, std::uint32_t field, std::span<const std::uint8_t> bytes) {
  append_tag(out, field, Wire::length_delimited);
  append_varint(out, bytes.size());
  out.append(bytes.begin(), bytes.end());
}

// A collector refuses the whole batch for one string that is not UTF-8.
void append_text(std::string& out, std::uint32_t field, std::string_view text) {
  if (valid_utf8(text)) return append_bytes(out, field, text);
  std::string ascii{text};
  std::ranges::replace_if(
      ascii, [](char c) { return (static_cast<unsigned char>(c) & 0x80U) != 0; }, '?');
  append_bytes(out, field, std::string_view{ascii});
}

std::string any_value(const Value& value) {
  std::string out;
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    append_text(out, 1, *text);
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    append_number(out, 2, *flag ? 1 : 0);
  } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
    append_number(out, 3, static_cast<std::uint64_t>(*number));
  } else {
    append_fixed(out, 4, std::bit_cast<std::uint64_t>(std::get<double>(value)));
  }
  return out;
}

std::string key_value(std::string_view name, const Value& value) {
  std::string out;
  append_text(out, 1, name);
  append_bytes(out, 2, std::string_view{any_value(value)});
  return out;
}

std::uint64_t number_of(SpanKind kind) {
  switch (kind) {
    case SpanKind::internal:
      return 1;
    case SpanKind::server:
      return 2;
    case SpanKind::client:
      return 3;
    case SpanKind::producer:
      return 4;
    case SpanKind::consumer:
      return 5;
  }
  fail_invariant("a span has a kind", std::source_location::current());
}

std::uint64_t unix_nanoseconds(UnixNanoseconds at) {
  return static_cast<std::uint64_t>(at.time_since_epoch().count());
}

}  // namespace

SpanMessage::SpanMessage(const SpanStart& start) {
  bytes_.reserve(256);
  append_bytes(bytes_, 1, std::span{start.context.trace_id});
  append_bytes(bytes_, 2, std::span{start.context.span_id});
  if (start.parent != decltype(start.parent){}) append_bytes(bytes_, 4, std::span{start.parent});
  append_text(bytes_, 5, start.name);
  append_number(bytes_, 6, number_of(start.kind));
  append_fixed(bytes_, 7, unix_nanoseconds(start.at));
}

void SpanMessage::attribute(std::string_view name, const Value& value) {
  const std::string attribute = key_value(name, value);
  if (bytes_.size() + attribute.size() > bytes_max) return;
  append_bytes(bytes_, 9, std::string_view{attribute});
}

void SpanMessage::fail(std::string_view why) {
  std::string status;
  append_text(status, 2, why.substr(0, bytes_max));
  append_number(status, 3, status_error);
  append_bytes(bytes_, 15, std::string_view{status});
}

std::string SpanMessage::end(UnixNanoseconds at) && {
  append_fixed(bytes_, 8, unix_nanoseconds(at));
  return std::move(bytes_);
}

std::string export_request(const Origin& origin, std::span<const std::string> spans) {
  std::string resource;
  append_bytes(resource, 1, std::string_view{key_value("service.name", origin.service)});
  append_bytes(resource, 1, std::string_view{key_value("service.version", origin.version)});
  append_bytes(resource, 1, std::string_view{key_value("service.instance.id", origin.instance)});

  std::string scope;
  append_text(scope, 1, "stoa");
  std::string scope_spans;
  append_bytes(scope_spans, 1, std::string_view{scope});
  for (const std::string& span : spans) append_bytes(scope_spans, 2, std::string_view{span});

  std::string resource_spans;
  append_bytes(resource_spans, 1, std::string_view{resource});
  append_bytes(resource_spans, 2, std::string_view{scope_spans});

  std::string request;
  append_bytes(request, 1, std::string_view{resource_spans});
  return request;
}

}  // namespace stoa::telemetry::otlp
