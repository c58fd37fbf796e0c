#include "tools/payment-simulator/webhooks.hpp"

#include <format>
#include <utility>

#include "servicekit/async/if_available.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::simulator {
namespace {

constexpr std::chrono::milliseconds first_retry{500};
constexpr std::chrono::milliseconds call_timeout{5'000};
constexpr std::string_view scheme = "http://";

struct Envelope {
  std::string id;
  std::string type;
  std::string created_at;
  json::Raw data;
};

std::int64_t unix_seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

http::ClientConfig client_config(const WebhookTarget& target) {
  return {.name = "merchant",
          .addresses = {target.address},
          .connections_max = 16,
          .waiting_max = 16'384,
          .timeout = call_timeout};
}

}  // namespace

std::optional<WebhookTarget> WebhookTarget::parse(std::string_view url) {
  if (!url.starts_with(scheme)) return std::nullopt;
  url.remove_prefix(scheme.size());
  const std::size_t slash = url.find('/');
  if (slash == std::string_view::npos || url.substr(0, slash).find(':') == std::string_view::npos) {
    return std::nullopt;
  }
  return WebhookTarget{.address = std::string{url.substr(0, slash)},
                       .path = std::string{url.substr(slash)}};
}

std::string signature(const Secret<>& secret, std::int64_t unix_seconds, std::string_view body) {
  const std::string signed_text = std::format("{}.{}", unix_seconds, body);
  return std::format("t={},v1={}", unix_seconds, hex(crypto::hmac_sha256(secret, signed_text)));
}

Webhooks::Webhooks(Loops& loops, WebhookTarget target, Secret<> secret,
                   telemetry::Telemetry& telemetry)
    : loops_{loops},
      target_{std::move(target)},
      secret_{std::move(secret)},
      client_{loops, client_config(target_), telemetry},
      dropped_{telemetry.counter("stoa_simulator_webhooks_dropped_total",
                                 "Webhooks given up: the queue was full or every try failed")},
      delivered_{telemetry.counter("stoa_simulator_webhooks_delivered_total",
                                   "Webhooks the merchant took")} {}

void Webhooks::send(Webhook webhook) {
  if (waiting_ >= waiting_max) {
    dropped_.add();
    return;
  }
  ++waiting_;
  spawn(loops_.at(0), "webhook", deliver(std::move(webhook)));
}

Task<> Webhooks::deliver(Webhook webhook) {
  if (webhook.delay.count() > 0) co_await sleep_for(webhook.delay);
  const Envelope envelope{
      .id = std::move(webhook.id),
      .type = std::move(webhook.type),
      .created_at =
          rfc3339(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())),
      .data = {std::move(webhook.data)},
  };
  const std::string body = json::write(envelope);

  auto pause = first_retry;
  bool taken = false;
  for (int attempt = 1; attempt <= tries_max && !taken; ++attempt) {
    if (attempt > 1) {
      co_await sleep_for(pause);
      pause *= 2;
    }
    taken = co_await try_once(body);
  }
  --waiting_;
  taken ? delivered_.add() : dropped_.add();
}

Task<bool> Webhooks::try_once(std::string body) {
  std::string headers =
      std::format("provider-signature: {}\r\n", signature(secret_, unix_seconds_now(), body));
  http::ClientRequest request{.method = http::Method::post,
                              .target = target_.path,
                              .headers = std::move(headers),
                              .body = std::move(body),
                              .idempotent = true};
  Context context;
  context = context.within(call_timeout);
  // A merchant that is away is what the retries are for.
  const auto response = co_await if_available(client_.send(std::move(context), std::move(request)));
  co_return response.has_value() && response->status / 100 == 2;
}

}  // namespace stoa::simulator
