#pragma once

#include "servicekit/postgres/database.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::payment {

/// Retention and the gauges that are read from the database. Attempts, refunds, payments and the
/// ledger are never purged.
class PgUpkeep {
 public:
  static constexpr std::int64_t rows_a_step = 1'000;
  static constexpr int steps_max = 20;

  PgUpkeep(postgres::Database& database, telemetry::Telemetry& telemetry);

  /// Inbox and provider events after 30 days, idempotency keys after 72 h; in bounded steps.
  /// Throws Unavailable.
  Task<> purge(Context context);

  /// Sets the gauges. Throws Unavailable.
  Task<> measure(Context context);

 private:
  postgres::Database& database_;
  telemetry::Gauge open_attempts_;
  telemetry::Gauge oldest_open_attempt_;
  telemetry::Gauge failing_closing_refunds_;
};

}  // namespace stoa::payment
