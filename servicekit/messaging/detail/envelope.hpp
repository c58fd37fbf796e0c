#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/messaging/messaging.hpp"

namespace stoa::messaging::detail {

/// The only schema version that this build writes and reads.
inline constexpr int envelope_version = 1;

/// CloudEvents 1.0, JSON format, structured mode. `event.trace` becomes `traceparent` when valid;
/// `event.data` is copied through as it is.
std::string write_envelope(const Event& event);

/// The event, or why it cannot be read (unreadable, or of an unknown version). Unknown attributes
/// are ignored; `trace` is what came.
std::expected<Event, std::string> read_envelope(std::string_view text);

}  // namespace stoa::messaging::detail
