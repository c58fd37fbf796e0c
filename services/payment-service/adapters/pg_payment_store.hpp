#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/payment-service/app/ports.hpp"

namespace stoa::payment {

/// Payments in PostgreSQL. Its files (pg_*.cpp) are the only ones of this service that hold SQL.
class PgPaymentStore final : public PaymentStore {
 public:
  /// `told` is called after a commit that wrote events: it wakes the relay.
  PgPaymentStore(postgres::Database& database, telemetry::Telemetry& telemetry,
                 std::function<void()> told)
      : database_{database}, telemetry_{telemetry}, told_{std::move(told)} {}

  // pg_charges.cpp
  Task<std::vector<AttemptId>> open(Context context, std::vector<PlacedOrder> orders,
                                    std::size_t leased_max,
                                    std::chrono::milliseconds lease) override;
  Task<std::vector<Charge>> claim_charges(Context context, std::size_t count_max,
                                          std::chrono::milliseconds lease) override;
  Task<bool> record_charges(Context context, std::vector<ChargeResult> results) override;

  // pg_refunds.cpp
  Task<bool> close_order(Context context, Cancellation cancellation) override;
  Task<Result<Answer>> request_refund(Context context, RefundRequest request, RequestKey key,
                                      Answer answer) override;
  Task<std::vector<RefundCall>> claim_refunds(Context context, std::size_t count_max,
                                              std::chrono::milliseconds lease) override;
  Task<std::optional<RefundCall>> claim_refund(Context context, RefundId id,
                                               std::chrono::milliseconds lease) override;
  Task<bool> record_refund(Context context, RefundCall call, RefundOutcome outcome) override;
  Task<bool> record_refund_by_hand(Context context, RefundCall call, std::string note) override;
  Task<> postpone_refund(Context context, RefundId id, std::chrono::milliseconds retry_in) override;

  // pg_queries.cpp
  Task<Result<PaymentView>> find(Context context, PaymentId id, Viewer viewer) override;
  Task<std::optional<PaymentView>> find_by_order(Context context, OrderId order,
                                                 Viewer viewer) override;
  Task<std::optional<Payment>> payment_of_order(Context context, OrderId order) override;
  Task<std::vector<Balance>> balances(Context context) override;
  Task<EntryPage> entries(Context context, ListEntries query) override;
  Task<bool> store_provider_event(Context context, ProviderEvent event) override;
  Task<std::size_t> act_on_provider_events(Context context, std::size_t count_max) override;

 private:
  /// Outcomes of open orders in one statement; returns which attempts it ended.
  Task<std::vector<AttemptId>> record_of_open_orders(Context context,
                                                     std::vector<ChargeResult> results);
  Task<> postpone_charges(Context context, std::vector<ChargeResult> results);
  /// One outcome under the payment's lock; answers whether a closing refund came of it.
  Task<bool> record_one(Context context, ChargeResult result);
  Task<std::optional<PaymentView>> with_refunds(Context context, postgres::Rows rows);

  postgres::Database& database_;
  telemetry::Telemetry& telemetry_;
  std::function<void()> told_;
};

}  // namespace stoa::payment
