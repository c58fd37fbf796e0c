#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/secret.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/payment-service/app/ports.hpp"
#include "services/payment-service/app/reconciliation.hpp"

namespace stoa::payment {

/// The provider that tools/payment-simulator plays, over HTTP. The only file that knows its wire.
class HttpProvider final : public Provider, public ProviderStatement {
 public:
  HttpProvider(http::Client& client, Secret<> key, telemetry::Telemetry& telemetry)
      : client_{client}, key_{std::move(key)}, telemetry_{telemetry} {}

  Task<ChargeOutcome> charge(Context context, Charge charge) override;
  Task<std::optional<ChargeOutcome>> ask_charge(Context context, AttemptId key) override;
  Task<ChargeOutcome> void_charge(Context context, AttemptId key) override;

  Task<RefundOutcome> refund(Context context, RefundCall call) override;
  Task<std::optional<RefundOutcome>> ask_refund(Context context, RefundId key) override;
  Task<std::optional<RefundOutcome>> void_refund(Context context, RefundId key) override;

  Task<StatementPage> page(Context context, std::int64_t after) override;
  Task<bool> refund_unexplained(Context context, StatementLine line, RefundId key) override;

 private:
  /// Throws Unavailable unless the status is 200 or, with `refusable`, 404 or 409.
  Task<http::ClientResponse> post(Context context, std::string target, std::string key,
                                  std::string body, bool refusable);
  /// Empty when the provider does not know the key.
  Task<std::optional<std::string>> ask(Context context, std::string key);
  std::string headers(std::string_view key) const;
  [[noreturn]] void give_up(const http::ClientResponse& response, std::string_view what);

  http::Client& client_;
  Secret<> key_;
  telemetry::Telemetry& telemetry_;
};

}  // namespace stoa::payment
