#include "servicekit/telemetry/log_line.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::telemetry {
namespace {

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::off:
      break;
  }
  fail_invariant("a line has a level", std::source_location::current());
}

template <class Number>
void append_number(std::string& out, Number number) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_value(std::string& out, const Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    json::append_quoted_lossy(out, *text);
  } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
    append_number(out, *number);
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    out += *flag ? "true" : "false";
  } else if (const double real = std::get<double>(value); std::isfinite(real)) {
    append_number(out, real);
  } else {
    out += "null";  // JSON has no infinity (RFC 8259, section 6)
  }
}

void append_member(std::string& out, std::string_view member, const Value& value) {
  out += ',';
  json::append_quoted_lossy(out, member);
  out += ':';
  append_value(out, value);
}

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  if (text == "info") return LogLevel::info;
  if (text == "warn") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  require(text == "off", "the log level was checked when it was read");
  return LogLevel::off;
}

void append_log_line(std::string& out, Instant now, LogLevel level, const LogOrigin& origin,
                     std::string_view event, const Context* context,
                     std::initializer_list<Field> fields) {
  out += R"({"ts":")";
  out += rfc3339(now);
  out += R"(","level":")";
  out += name(level);
  out += '"';
  append_member(out, "event", event);
  append_member(out, "service", origin.service);
  if (!origin.instance.empty()) append_member(out, "instance", origin.instance);
  if (context != nullptr && context->trace.valid()) {
    out += R"(,"trace_id":")";
    append_hex(out, context->trace.trace_id);
    out += '"';
  }
  if (context != nullptr && context->request_id) {
    append_member(out, "request_id", std::string_view{*context->request_id});
  }
  for (const Field& field : fields) append_member(out, field.name, field.value);
  out += "}\n";
}

}  // namespace stoa::telemetry
