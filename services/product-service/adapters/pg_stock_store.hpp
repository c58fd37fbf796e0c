#pragma once

#include <chrono>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

struct ReservationClock {
  std::chrono::seconds deadline{900};  ///< until the sweep asks for the reservation's order
  std::chrono::seconds ask_again{10};  ///< while its order is not settled
};

/// Stock and reservations in PostgreSQL. Every effect locks the stock it touches in the order of
/// the variants' ids, so that no two of them can deadlock.
class PgStockStore final : public StockStore {
 public:
  /// `wake_relay` is called after a commit that wrote an event.
  PgStockStore(postgres::Database& database, ReservationClock clock,
               std::function<Uuid()> next_uuid, std::function<void()> wake_relay)
      : database_{database},
        clock_{clock},
        next_uuid_{std::move(next_uuid)},
        wake_relay_{std::move(wake_relay)} {}

  Task<Result<Reserved>> reserve(Context context, ReserveStock command) override;
  Task<StaleProducts> settle(Context context, ReservationId id, Settlement settlement) override;
  Task<SettledBatch> settle_orders(Context context, std::vector<SettledOrder> orders) override;
  Task<std::vector<OverdueReservation>> claim_overdue(Context context) override;
  Task<std::optional<StockLevel>> level(Context context, VariantId id) override;
  Task<Result<Adjusted>> adjust(Context context, AdjustStock command) override;
  Task<Result<MovementPage>> movements(Context context, ListMovements query) override;

 private:
  Task<Result<Reserved>> repeat(Context context, ReserveStock command);

  postgres::Database& database_;
  ReservationClock clock_;
  std::function<Uuid()> next_uuid_;
  std::function<void()> wake_relay_;
};

}  // namespace stoa::product
