#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/time.hpp"
#include "servicekit/messaging/detail/amqp_connection.hpp"
#include "servicekit/messaging/messaging.hpp"

namespace stoa::messaging::detail {

inline constexpr std::string_view attempt_header = "x-stoa-attempt";
inline constexpr std::string_view waiting_since_header = "x-stoa-waiting-since";
inline constexpr std::string_view reason_header = "x-stoa-reason";
inline constexpr std::string_view dead_at_header = "x-stoa-dead-at";
inline constexpr std::chrono::hours waiting_max{24};

/// Where a message goes that could not be done now.
struct Rerouted {
  Publication publication;
  bool dead = false;
};

/// Pure. `verdict` is wait or refuse; the message's own headers tell how often it was refused and
/// since when it waits.
Rerouted reroute(const std::string& queue, const Delivery& delivery, const Verdict& verdict,
                 Instant now);

/// The same message into its queue again, its history forgotten.
Publication revive(const std::string& queue, const Delivery& dead);

/// When a dead letter died; empty when the broker moved it (its delivery limit).
std::optional<Instant> died_at(const Delivery& dead);

}  // namespace stoa::messaging::detail
