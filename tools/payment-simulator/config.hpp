#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "servicekit/core/secret.hpp"
#include "servicekit/runtime/service.hpp"

#include "tools/payment-simulator/webhooks.hpp"

namespace stoa::simulator {

inline constexpr std::uint16_t default_port = 3010;

struct Config {
  runtime::ServiceConfig service;
  Secret<> provider_key;                  ///< STOA_PROVIDER_KEY(_FILE): what a caller must bear
  std::filesystem::path journal;          ///< STOA_JOURNAL, default payment-simulator.journal
  std::optional<WebhookTarget> webhooks;  ///< STOA_WEBHOOK_URL, http://host:port/path; none: off
  Secret<> webhook_secret;                ///< STOA_PROVIDER_WEBHOOK_SECRET(_FILE), with the URL
  /// STOA_WEBHOOK_EVENTS, `unanswered` (default) or `all`: whether the merchant is also told what
  /// it has just been answered.
  bool every_event = false;
  /// STOA_STALL_MS (30,000; 0–50,000): how long an answer is withheld by the time-out tokens.
  std::chrono::milliseconds stall{};
  /// STOA_SLOW_MS (1,500; 0–50,000): how late tok_slow is answered.
  std::chrono::milliseconds slow{};
  /// STOA_WEBHOOK_LATE_MS (3,000; 0–600,000): how late tok_webhook_late is told.
  std::chrono::milliseconds webhook_late{};

  /// Throws runtime::ConfigurationError with every problem.
  static Config read();
};

}  // namespace stoa::simulator
