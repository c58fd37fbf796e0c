#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "servicekit/core/time.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::telemetry {

enum class LogLevel : std::uint8_t { info, warn, error, off };

/// "info", "warn", "error" or "off"; anything else is a bug of the configuration's reader.
LogLevel parse_log_level(std::string_view text);

struct LogOrigin {
  std::string_view service;
  std::string_view instance;
};

/// Appends one JSON object and a line end. What is not UTF-8 becomes U+FFFD, so that a reader of
/// the log never meets a broken line.
void append_log_line(std::string& out, Instant now, LogLevel level, const LogOrigin& origin,
                     std::string_view event, const Context* context,
                     std::initializer_list<Field> fields);

}  // namespace stoa::telemetry
