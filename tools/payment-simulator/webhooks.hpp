#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::simulator {

struct WebhookTarget {
  std::string address;  ///< host:port
  std::string path;     ///< /api/v1/webhooks/psp

  /// Of "http://host:port/path"; empty for anything else.
  static std::optional<WebhookTarget> parse(std::string_view url);
};

/// One event to tell the merchant. The id is that of the journal's record, so that a duplicate has
/// the same id.
struct Webhook {
  std::string id;
  std::string type;
  std::string data;  ///< JSON of the payment or refund
  std::chrono::milliseconds delay{0};
};

/// `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">`
std::string signature(const Secret<>& secret, std::int64_t unix_seconds, std::string_view body);

/// Sends events to the merchant, signed, with bounded retries. What is not delivered when the
/// process ends is lost: a merchant heals by asking for the outcome.
class Webhooks {
 public:
  Webhooks(Loops& loops, WebhookTarget target, Secret<> secret, telemetry::Telemetry& telemetry);

  /// Queues; drops and counts when full. On loop 0.
  void send(Webhook webhook);

 private:
  static constexpr std::size_t waiting_max = 10'000;
  static constexpr int tries_max = 6;

  Task<> deliver(Webhook webhook);
  Task<bool> try_once(std::string body);

  Loops& loops_;
  WebhookTarget target_;
  Secret<> secret_;
  http::Client client_;
  telemetry::Counter dropped_;
  telemetry::Counter delivered_;
  std::size_t waiting_ = 0;
};

}  // namespace stoa::simulator
