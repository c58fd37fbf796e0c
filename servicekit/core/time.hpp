#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace stoa {

/// A moment as the wire tells it: UTC, milliseconds.
using Instant = std::chrono::sys_time<std::chrono::milliseconds>;

/// RFC 3339, 24 characters: 2026-11-22T12:00:00.123Z
std::string rfc3339(Instant instant);

/// Exactly the form that rfc3339() writes; empty otherwise.
std::optional<Instant> parse_rfc3339(std::string_view text);

}  // namespace stoa
