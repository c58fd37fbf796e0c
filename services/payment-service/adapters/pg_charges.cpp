#include <cstddef>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/payment-service/adapters/payment_events.hpp"
#include "services/payment-service/adapters/pg_change.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"

// Attempts: opened, taken by lease, ended.
namespace stoa::payment {
namespace {

using postgres::array;
using postgres::param;

constexpr std::string_view placed_consumer = "payment-service.order-placed";

std::string_view name(ChargeOutcome::Kind kind) {
  switch (kind) {
    case ChargeOutcome::Kind::captured:
      return "captured";
    case ChargeOutcome::Kind::declined:
      return "declined";
    case ChargeOutcome::Kind::voided:
      return "voided";
  }
  std::unreachable();
}

// One statement, hence one transaction, for the whole batch. The inbox row decides whether the
// event is new, the payment's row whether its order is: a closed order has one already, and so has
// an order that came under another event id. The first $10 attempts are leased as they are born.
postgres::Query open_all(const std::vector<PlacedOrder>& orders, std::size_t leased_max,
                         std::chrono::milliseconds lease) {
  std::vector<Uuid> events;
  std::vector<Uuid> order_ids;
  std::vector<Uuid> customers;
  std::vector<std::int64_t> amounts;
  std::vector<std::string> currencies;
  std::vector<std::string> tokens;
  std::vector<std::string> traces;
  std::vector<Uuid> payments;
  std::vector<Uuid> attempts;
  for (const PlacedOrder& order : orders) {
    events.push_back(order.event);
    order_ids.push_back(order.order.uuid);
    customers.push_back(order.customer.uuid);
    amounts.push_back(order.amount.minor_units());
    currencies.emplace_back(order.amount.currency().code());
    tokens.push_back(order.token);
    traces.push_back(order.traceparent);
    payments.push_back(order.payment.uuid);
    attempts.push_back(order.attempt.uuid);
  }
  return {
      .name = "payment.open_all",
      .read_only = false,
      .sql = runtime::mutant_sql<"payment.closed_record_ignored">(
          R"sql(
        WITH given AS MATERIALIZED (
          SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[],
                               $6::text[], $7::text[], $8::uuid[], $9::uuid[]) WITH ORDINALITY
            AS g (event_id, order_id, customer_id, amount_minor, currency, payment_token,
                  traceparent, payment_id, attempt_id, position)
        ), fresh AS (
          INSERT INTO inbox (consumer, event_id) SELECT $12, event_id FROM given
          ON CONFLICT DO NOTHING RETURNING event_id
        ), opened AS (
          INSERT INTO payments (id, order_id, customer_id, amount_minor, currency, payment_token,
                                status)
          SELECT payment_id, order_id, customer_id, amount_minor, currency, payment_token, 'pending'
          FROM given JOIN fresh USING (event_id)
          ON CONFLICT (order_id) DO NOTHING RETURNING id
        )
        INSERT INTO attempts (id, payment_id, order_id, status, due_at, traceparent)
        SELECT given.attempt_id, given.payment_id, given.order_id, 'started',
               now() + CASE WHEN given.position <= $10 THEN $11::bigint ELSE 0 END
                       * interval '1 ms',
               given.traceparent
        FROM given JOIN opened ON opened.id = given.payment_id
        RETURNING id, due_at > now()
      )sql",
          "ON CONFLICT (order_id) DO NOTHING RETURNING id",
          "ON CONFLICT (order_id) DO UPDATE SET (id, status, closed_at, amount_minor, currency, "
          "payment_token) = (excluded.id, 'pending', NULL, excluded.amount_minor, "
          "excluded.currency, excluded.payment_token) RETURNING id"),
      .params = {array(events), array(order_ids), array(customers), array(amounts),
                 array(currencies), array(tokens), array(traces), array(payments), array(attempts),
                 static_cast<std::int64_t>(leased_max), std::int64_t{lease.count()},
                 std::string{placed_consumer}},
  };
}

postgres::Query claim_due(std::size_t count_max, std::chrono::milliseconds lease) {
  return {
      .name = "payment.claim_due_attempts",
      .read_only = false,
      .sql = R"sql(
        WITH due AS MATERIALIZED (
          SELECT id FROM attempts
          WHERE status IN ('started', 'unknown') AND due_at <= now()
          ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE attempts a SET due_at = now() + $2::bigint * interval '1 ms'
        FROM due, payments p
        WHERE a.id = due.id AND p.id = a.payment_id
        RETURNING a.id, a.payment_id, a.order_id, p.customer_id, p.amount_minor, p.currency,
                  p.payment_token, a.traceparent, p.closed_at IS NOT NULL, a.tries
      )sql",
      .params = {static_cast<std::int64_t>(count_max), std::int64_t{lease.count()}},
  };
}

// The outcomes of open orders, all in one statement: attempt, payment, ledger, event. A payment
// that is not pending has its outcome; one that was closed meanwhile goes the long way
// (record_one), where the rules of domain/ decide what follows.
postgres::Query end_all(const std::vector<ChargeResult>& results) {
  std::vector<Uuid> attempts;
  std::vector<Uuid> payments;
  std::vector<std::string> outcomes;
  std::vector<std::string> provider_payments;
  std::vector<std::string> reasons;
  std::vector<Uuid> events;
  std::vector<std::string> types;
  std::vector<std::string> data;
  std::vector<std::string> subjects;
  std::vector<std::string> traces;
  for (const ChargeResult& result : results) {
    OutgoingEvent event = event_of(result.charge, *result.outcome);
    attempts.push_back(result.charge.attempt.uuid);
    payments.push_back(result.charge.payment.uuid);
    outcomes.emplace_back(name(result.outcome->kind));
    provider_payments.push_back(result.outcome->provider_payment);
    reasons.push_back(result.outcome->reason);
    events.push_back(crypto::new_uuid());
    types.emplace_back(event.type);
    data.push_back(std::move(event.data));
    subjects.push_back(result.charge.order.str());
    traces.push_back(result.charge.traceparent);
  }
  return {
      .name = "payment.end_all",
      .read_only = false,
      .sql = runtime::mutant_sql<"payment.capture_not_booked">(R"sql(
        WITH given AS MATERIALIZED (
          SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                               $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[])
            AS g (attempt_id, payment_id, outcome, provider_payment_id, reason, event_id,
                  event_type, event_data, subject, traceparent)
        ), moved AS (
          UPDATE payments p
          SET status = g.outcome, decline_reason = g.reason,
              captured_minor = CASE g.outcome WHEN 'captured' THEN p.amount_minor ELSE 0 END,
              provider_payment_id = g.provider_payment_id,
              version = p.version + 1, updated_at = now()
          FROM given g
          WHERE p.id = g.payment_id AND p.status = 'pending' AND p.closed_at IS NULL
          RETURNING p.id, p.amount_minor, p.currency, p.version, g.attempt_id
        ), ended AS (
          UPDATE attempts a
          SET status = g.outcome, reason = g.reason, provider_payment_id = g.provider_payment_id,
              ended_at = now()
          FROM given g JOIN moved USING (attempt_id)
          WHERE a.id = g.attempt_id
        ), booked AS (
          INSERT INTO ledger_entries
            (transaction_id, line, account, amount_minor, currency, kind, payment_id)
          SELECT m.attempt_id, e.line, e.account, e.sign * m.amount_minor, m.currency, 'capture',
                 m.id
          FROM given g JOIN moved m USING (attempt_id)
          CROSS JOIN (VALUES (1, 'provider_cash', 1), (2, 'captured_payments', -1))
            AS e (line, account, sign)
          WHERE g.outcome = 'captured'
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT g.event_id, g.event_type, g.subject, m.version, g.event_data::jsonb,
                 nullif(g.traceparent, '')
          FROM given g JOIN moved m USING (attempt_id)
        )
        SELECT attempt_id FROM moved
      )sql",
                                                               "WHERE g.outcome = 'captured'",
                                                               "WHERE false"),
      .params = {array(attempts), array(payments), array(outcomes), array(provider_payments),
                 array(reasons), array(events), array(types), array(data), array(subjects),
                 array(traces)},
  };
}

postgres::Query postpone_all(const std::vector<ChargeResult>& results) {
  std::vector<Uuid> attempts;
  std::vector<std::int64_t> pauses;
  for (const ChargeResult& result : results) {
    attempts.push_back(result.charge.attempt.uuid);
    pauses.push_back(result.retry_in.count());
  }
  return {
      .name = "payment.postpone_attempts",
      .read_only = false,
      .sql = R"sql(
        UPDATE attempts a
        SET status = 'unknown', tries = a.tries + 1, due_at = now() + g.pause * interval '1 ms'
        FROM unnest($1::uuid[], $2::bigint[]) AS g (id, pause)
        WHERE a.id = g.id AND a.status IN ('started', 'unknown')
      )sql",
      .params = {array(attempts), array(pauses)},
  };
}

postgres::Query end_attempt(AttemptId id, const ChargeOutcome& outcome) {
  return {
      .name = "payment.end_attempt",
      .read_only = false,
      .sql = R"sql(
        UPDATE attempts
        SET status = $2, reason = $3, provider_payment_id = $4, ended_at = now()
        WHERE id = $1 AND status IN ('started', 'unknown')
        RETURNING id
      )sql",
      .params = {param(id.uuid), std::string{name(outcome.kind)}, outcome.reason,
                 outcome.provider_payment},
  };
}

Charge read_charge(const postgres::Row& row) {
  const auto currency = Currency::parse(row.text(5));
  require(currency.has_value(), "the database holds ISO 4217 currencies only");
  return {.attempt = {row.uuid(0)},
          .payment = {row.uuid(1)},
          .order = {row.uuid(2)},
          .customer = {row.uuid(3)},
          .amount = Money{row.number(4), *currency},
          .token = std::string{row.text(6)},
          .traceparent = std::string{row.text(7)},
          .closed = row.flag(8),
          .sent_before = true,
          .tries = static_cast<int>(row.number(9))};
}

}  // namespace

Task<std::vector<AttemptId>> PgPaymentStore::open(Context context, std::vector<PlacedOrder> orders,
                                                  std::size_t leased_max,
                                                  std::chrono::milliseconds lease) {
  std::vector<AttemptId> leased;
  if (orders.empty()) co_return leased;
  runtime::crash_point("payment.open.before_commit");
  const auto rows = co_await database_.run(std::move(context), open_all(orders, leased_max, lease));
  runtime::crash_point("payment.open.after_commit");
  for (const auto row : rows) {
    if (row.flag(1)) leased.push_back({row.uuid(0)});
  }
  co_return leased;
}

Task<std::vector<Charge>> PgPaymentStore::claim_charges(Context context, std::size_t count_max,
                                                        std::chrono::milliseconds lease) {
  const auto rows = co_await database_.run(std::move(context), claim_due(count_max, lease));
  std::vector<Charge> charges;
  charges.reserve(rows.size());
  for (const auto row : rows) {
    Charge charge = read_charge(row);
    if (charge.tries == 0 && runtime::mutant<"payment.started_skipped">()) continue;
    charges.push_back(std::move(charge));
  }
  co_return charges;
}

Task<bool> PgPaymentStore::record_charges(Context context, std::vector<ChargeResult> results) {
  std::vector<ChargeResult> unanswered;
  std::vector<ChargeResult> answered;
  // An attempt is in a batch twice when its lease ended while the provider was slow: both workers
  // asked under one key and have one answer, and the statement below books each row it is given.
  std::unordered_set<AttemptId> known;
  for (ChargeResult& result : results) {
    if (result.outcome && !known.insert(result.charge.attempt).second) continue;
    (result.outcome ? answered : unanswered).push_back(std::move(result));
  }
  if (!unanswered.empty()) co_await postpone_charges(context, std::move(unanswered));
  if (answered.empty()) co_return false;

  const auto ended = co_await record_of_open_orders(context, answered);
  const std::unordered_set<AttemptId> done{ended.begin(), ended.end()};
  bool refunds_follow = false;
  for (ChargeResult& result : answered) {
    if (done.contains(result.charge.attempt)) continue;
    const bool follows = co_await record_one(context, std::move(result));
    refunds_follow = refunds_follow || follows;
  }
  told_();
  co_return refunds_follow;
}

Task<std::vector<AttemptId>> PgPaymentStore::record_of_open_orders(
    Context context, std::vector<ChargeResult> results) {
  runtime::crash_point("payment.end.before_commit");
  const auto rows = co_await database_.run(std::move(context), end_all(results));
  runtime::crash_point("payment.end.after_commit");
  std::vector<AttemptId> ended;
  for (const auto row : rows) ended.push_back({row.uuid(0)});
  co_return ended;
}

Task<> PgPaymentStore::postpone_charges(Context context, std::vector<ChargeResult> results) {
  for (const ChargeResult& result : results) {
    const std::string attempt = result.charge.attempt.str();
    telemetry_.warn("payment_unknown",
                    {{"attempt_id", attempt}, {"tries", std::int64_t{result.charge.tries} + 1}});
  }
  runtime::crash_point("payment.postpone.before_commit");
  co_await database_.run(std::move(context), postpone_all(results));
  runtime::crash_point("payment.postpone.after_commit");
}

Task<bool> PgPaymentStore::record_one(Context context, ChargeResult result) {
  auto transaction = co_await database_.begin(std::move(context));
  const auto locked = co_await transaction.run(lock_payment(result.charge.payment));
  require(locked.size() == 1, "an attempt has a payment");
  // Asked under the lock: whoever ended the attempt before us has committed.
  const auto ended = co_await transaction.run(end_attempt(result.charge.attempt, *result.outcome));
  if (ended.empty()) co_return false;

  Change change = settle_charge(read_payment(locked.front()), *result.outcome);
  if (runtime::mutant<"payment.late_capture_kept">()) change.closing_refund.reset();
  const Cause cause{.transaction = result.charge.attempt.uuid,
                    .kind = "capture",
                    .provider_payment = result.outcome->provider_payment,
                    .traceparent = result.charge.traceparent};
  co_await transaction.run(write_change(change, cause));
  runtime::crash_point("payment.end_closed.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.end_closed.after_commit");
  co_return change.closing_refund.has_value();
}

}  // namespace stoa::payment
