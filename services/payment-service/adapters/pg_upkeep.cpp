#include "services/payment-service/adapters/pg_upkeep.hpp"

#include <array>
#include <utility>

#include "servicekit/postgres/idempotency.hpp"

namespace stoa::payment {
namespace {

postgres::Query purge_provider_events(std::int64_t rows_max) {
  return {
      .name = "payment.purge_provider_events",
      .read_only = false,
      .sql = R"sql(
        DELETE FROM provider_events WHERE id IN (
          SELECT id FROM provider_events WHERE done_at < now() - interval '30 days'
          ORDER BY done_at LIMIT $1 FOR UPDATE SKIP LOCKED)
      )sql",
      .params = {rows_max},
  };
}

postgres::Query count_waiting() {
  return {
      .name = "payment.count_waiting",
      .read_only = true,
      .sql = R"sql(
        SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::bigint,
               (SELECT count(*) FROM payments WHERE closing_failures > 0)
        FROM attempts WHERE status IN ('started', 'unknown')
      )sql",
      .params = {},
  };
}

}  // namespace

PgUpkeep::PgUpkeep(postgres::Database& database, telemetry::Telemetry& telemetry)
    : database_{database},
      open_attempts_{telemetry.gauge("stoa_payment_attempts_open",
                                     "Attempts without an outcome, all replicas")},
      oldest_open_attempt_{telemetry.gauge("stoa_payment_attempts_open_oldest_seconds",
                                           "Age of the oldest attempt without an outcome")},
      failing_closing_refunds_{
          telemetry.gauge("stoa_payment_closing_refunds_failing",
                          "Cancelled orders whose money the provider refuses to give back")} {}

Task<> PgUpkeep::purge(Context context) {
  using Purge = postgres::Query (*)(std::int64_t);
  const std::array<Purge, 3> purges{&postgres::purge_inbox, &postgres::purge_idempotency_keys,
                                    &purge_provider_events};
  for (const Purge step_of : purges) {
    std::int64_t deleted = rows_a_step;
    for (int step = 0; step < steps_max && deleted == rows_a_step; ++step) {
      const auto rows = co_await database_.run(context, step_of(rows_a_step));
      deleted = rows.affected();
    }
  }
}

Task<> PgUpkeep::measure(Context context) {
  const auto rows = co_await database_.run(std::move(context), count_waiting());
  const auto row = rows.front();
  open_attempts_.set(static_cast<double>(row.number(0)));
  oldest_open_attempt_.set(static_cast<double>(row.number(1)));
  failing_closing_refunds_.set(static_cast<double>(row.number(2)));
}

}  // namespace stoa::payment
