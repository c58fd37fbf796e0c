#pragma once

#include <chrono>
#include <string_view>

#include "servicekit/core/error.hpp"
#include "servicekit/core/secret.hpp"

namespace stoa::payment {

inline constexpr std::chrono::seconds webhook_tolerance{600};

/// Verifies `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">` over the raw body; several v1 are
/// allowed (a secret being changed), unknown parts are ignored.
/// Errors: webhook_signature_invalid (unauthenticated): also when `t` is off by more than
/// webhook_tolerance either way.
Result<void> verify_webhook(const Secret<>& secret, std::string_view header, std::string_view body,
                            std::chrono::sys_seconds now);

}  // namespace stoa::payment
