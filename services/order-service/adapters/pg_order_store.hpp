#pragma once

#include <array>
#include <optional>
#include <vector>

#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/order-service/app/ports.hpp"

namespace stoa::order {

/// Orders in PostgreSQL. Deadlines are set and compared by the clock of the database. Writes one
/// log line for each change of state.
class PgOrderStore final : public OrderStore {
 public:
  PgOrderStore(postgres::Database& database, telemetry::Telemetry& telemetry, Patience patience);

  Task<Result<KeyState>> look_up(Context context, IdempotencyKey key) override;
  Task<Result<std::optional<Answer>>> first_answer(Context context, IdempotencyKey key) override;
  Task<bool> insert_if_first(Context context, NewOrder placed) override;
  Task<Claim> abandon(Context context, ReservationId id, Origin origin) override;
  Task<std::optional<Order>> find(Context context, OrderId id) override;
  Task<OrderPage> list(Context context, ListOrders query) override;
  Task<std::vector<HistoryEntry>> history(Context context, OrderId id) override;
  Task<bool> store_cancelling(Context context, Order order, CancelReason reason,
                              std::optional<IdempotencyKey> key, Answer answer) override;
  Task<std::vector<Effect>> apply(Context context, std::vector<PaymentFact> facts) override;
  Task<std::vector<Overdue>> claim_overdue(Context context, std::size_t limit) override;
  Task<> repeat_cancel_request(Context context, Overdue order) override;

 private:
  Task<> keep_key(Context context, NewOrder placed);
  Effect effect_of(const Context& context, const PaymentFact& fact, const postgres::Row& row);

  /// One handle for each status, in the order of the enum.
  using StatusCounters = std::array<telemetry::Counter, status_count>;

  postgres::Database& database_;
  telemetry::Telemetry& telemetry_;
  Patience patience_;
  StatusCounters moved_;
  StatusCounters overdue_;
};

}  // namespace stoa::order
