#include <utility>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/order-service/adapters/order_events.hpp"
#include "services/order-service/adapters/pg_order_queries.hpp"

// How orders move: by a cancel, by a payment, by the sweep.
namespace stoa::order::queries {
namespace {

using postgres::Param;
using postgres::param;
using postgres::Query;

std::string_view name_of(PaymentResult result) {
  switch (result) {
    case PaymentResult::captured:
      return "captured";
    case PaymentResult::declined:
      return "declined";
    case PaymentResult::voided:
      return "voided";
    case PaymentResult::refunded_to_close:
      return "refunded_to_close";
  }
  std::unreachable();
}

// A batch of facts, a column each.
struct FactColumns {
  explicit FactColumns(const std::vector<PaymentFact>& facts) {
    for (const PaymentFact& fact : facts) {
      events.push_back(fact.event);
      orders.push_back(fact.order.uuid);
      told_as.push_back(crypto::new_uuid());
      results.emplace_back(name_of(fact.result));
      reasons.push_back(fact.reason);
      traces.push_back(fact.traceparent);
      subjects.push_back(fact.order.str());
      owed_to.push_back(holds_money(fact.result) ? std::optional{fact.customer.str()}
                                                 : std::nullopt);
    }
  }

  std::vector<Uuid> events;
  std::vector<Uuid> orders;
  std::vector<Uuid> told_as;
  std::vector<std::string> results;
  std::vector<std::optional<std::string>> reasons;
  std::vector<std::string> traces;
  std::vector<std::string> subjects;
  std::vector<std::optional<std::string>> owed_to;  ///< whose money is held for the order
};

// The domain's table: the statement knows no rule of its own.
struct RuleColumns {
  RuleColumns() {
    for (const PaymentTransition& rule : payment_transitions) {
      add(rule, rule.from);
      if (!runtime::mutant<"order.transition_unguarded">()) continue;
      for (const Status any : all_statuses) add(rule, any);
    }
  }

  void add(const PaymentTransition& rule, Status from_status) {
    results.emplace_back(name_of(rule.result));
    from.emplace_back(name(from_status));
    to.emplace_back(name(rule.to));
    types.emplace_back(event_type(rule.to));
  }

  std::vector<std::string> results;
  std::vector<std::string> from;
  std::vector<std::string> to;
  std::vector<std::string> types;
};

}  // namespace

Query store_cancelling(const Cancelling& change, const Patience& patience) {
  const Order& order = change.order;
  Param origin = nullptr;
  if (change.key) origin = param(change.key->origin.value);
  return {
      .name = "order.store_cancelling",
      .read_only = false,
      .sql = R"sql(
        WITH moved AS (
          UPDATE orders
          SET status = 'cancelling', version = $2::bigint, reason = $3::text, updated_at = now(),
              check_at = now() + make_interval(secs => $4::bigint), awaited_event = $5::uuid,
              relay_was_late = false
          WHERE id = $1::uuid AND version = $2::bigint - 1 AND status IN ('pending', 'paid')
          RETURNING id
        ), noted AS (
          INSERT INTO order_history (order_id, version, type, status, reason)
          SELECT id, $2::bigint, 'order.cancel_requested', 'cancelling', $3::text FROM moved
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT $5::uuid, 'order.cancel_requested', $6::text, $2::bigint, $7::jsonb,
                 nullif($8::text, '')
          FROM moved
        ), kept AS (
          INSERT INTO idempotency_keys
            (origin, caller, fingerprint, status, headers, body, expires_at)
          SELECT $9::uuid, $10::text, decode($11::text, 'hex'), $12::int, $13::text, $14::text,
                 now() + interval '72 hours'
          FROM moved WHERE $9::uuid IS NOT NULL
          ON CONFLICT (origin) DO UPDATE
            SET caller = excluded.caller, fingerprint = excluded.fingerprint,
                status = excluded.status, headers = excluded.headers, body = excluded.body,
                expires_at = excluded.expires_at
        )
        SELECT id FROM moved
      )sql",
      .params = {param(order.id.uuid), order.version, std::string{name(change.reason)},
                 std::int64_t{patience.cancelling.count()}, param(crypto::new_uuid()),
                 order.id.str(), cancel_requested(order.id, order.customer, name(change.reason)),
                 change.traceparent, std::move(origin), change.key ? change.key->caller : "",
                 change.key ? change.key->fingerprint : "", std::int64_t{change.answer.status},
                 change.answer.headers, change.answer.body},
  };
}

// The orders are locked first, in the order of their ids, so that two batches cannot deadlock. The
// transition is chosen by the status that the lock shows (k.status). A condition on o.status would
// be judged by the older snapshot: an order that was cancelled while we waited for its lock would
// then take its inbox row and not move.
// An order is stored by the statement that tells of it first, so one that is not there is not late:
// a backup or a standby that was behind has taken its place. Nobody will ever ship it, so what was
// captured for it is asked back.
Query apply(const std::vector<PaymentFact>& facts) {
  const FactColumns columns{facts};
  const RuleColumns rules;
  return {
      .name = "order.apply",
      .read_only = false,
      .sql = runtime::mutant_sql<"order.inbox_off">(R"sql(
        WITH incoming AS (
          SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                               $11::text[], $12::text[])
            AS fact (event_id, order_id, told_as, result, reason, traceparent, subject, owed_to)
        ), known AS (
          SELECT id, status FROM orders WHERE id = ANY ($2::uuid[]) ORDER BY id FOR UPDATE
        ), claimed AS (
          INSERT INTO inbox (consumer, event_id)
          SELECT 'order-service.payment-results', i.event_id
          FROM incoming i LEFT JOIN known k ON k.id = i.order_id
          ON CONFLICT DO NOTHING
          RETURNING event_id
        ), asked_back AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT i.told_as, 'order.cancel_requested', i.subject, 1,
                 jsonb_build_object('order_id', i.subject, 'customer_id', i.owed_to,
                                    'reason', $13::text),
                 nullif(i.traceparent, '')
          FROM claimed c
          JOIN incoming i ON i.event_id = c.event_id
          WHERE i.owed_to IS NOT NULL AND NOT EXISTS (SELECT FROM known k WHERE k.id = i.order_id)
        ), moved AS (
          UPDATE orders o
          SET status = rule.to_status, version = o.version + 1, updated_at = now(),
              reason = CASE rule.to_status WHEN 'payment_failed' THEN i.reason ELSE o.reason END,
              check_at = NULL, awaited_event = NULL
          FROM claimed c
          JOIN incoming i ON i.event_id = c.event_id
          JOIN known k ON k.id = i.order_id
          JOIN unnest($7::text[], $8::text[], $9::text[], $10::text[])
            AS rule (result, from_status, to_status, type)
            ON rule.result = i.result AND rule.from_status = k.status
          WHERE o.id = k.id
          RETURNING o.id, o.status, o.version, o.reason, o.facts, i.told_as, i.traceparent, rule.type
        ), noted AS (
          INSERT INTO order_history (order_id, version, type, status, reason)
          SELECT id, version, type, status, reason FROM moved
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT told_as, type, facts ->> 'order_id', version,
                 facts || CASE WHEN reason IS NULL THEN '{}'::jsonb
                               ELSE jsonb_build_object('reason', reason) END,
                 nullif(traceparent, '')
          FROM moved
        )
        SELECT i.event_id, k.id IS NOT NULL, m.status, m.type
        FROM incoming i
        LEFT JOIN known k ON k.id = i.order_id
        LEFT JOIN moved m ON m.id = i.order_id
      )sql",
                                                    "'order-service.payment-results'",
                                                    "gen_random_uuid()::text"),
      .params = {postgres::array(columns.events), postgres::array(columns.orders),
                 postgres::array(columns.told_as), postgres::array(columns.results),
                 postgres::array(columns.reasons), postgres::array(columns.traces),
                 postgres::array(rules.results), postgres::array(rules.from),
                 postgres::array(rules.to), postgres::array(rules.types),
                 postgres::array(columns.subjects), postgres::array(columns.owed_to),
                 std::string{name(CancelReason::expired)}},
  };
}

// Nobody is late while the event that an order waits for has not left, or while the relay as a
// whole is behind: a broker that is away must not cancel orders. When it is back, an order gets a
// whole deadline again, since its event may have left a moment ago.
Query claim_overdue(const Patience& patience, std::size_t limit) {
  return {
      .name = "order.claim_overdue",
      .read_only = false,
      .sql = R"sql(
        WITH relay AS (
          SELECT coalesce((SELECT created_at < now() - interval '2 seconds'
                           FROM outbox ORDER BY seq LIMIT 1), false) AS late
        ), due AS (
          SELECT o.id, o.relay_was_late,
                 EXISTS (SELECT FROM outbox b WHERE b.id = o.awaited_event)
                   OR (SELECT late FROM relay) AS untold
          FROM orders o
          WHERE o.check_at <= now()
          ORDER BY o.check_at LIMIT $1::bigint
          FOR UPDATE OF o SKIP LOCKED
        ), leased AS (
          UPDATE orders o
          SET relay_was_late = due.untold,
              check_at = now() + make_interval(secs => CASE
                WHEN NOT due.untold AND NOT due.relay_was_late THEN $2::bigint
                WHEN o.status = 'pending' THEN $3::bigint
                ELSE $4::bigint END)
          FROM due WHERE o.id = due.id
          RETURNING o.id, o.customer_id, o.status, o.version, o.reason,
                    NOT due.untold AND NOT due.relay_was_late AS overdue
        )
        SELECT id, customer_id, status, version, reason FROM leased WHERE overdue
      )sql",
      .params = {static_cast<std::int64_t>(limit), std::int64_t{patience.lease.count()},
                 std::int64_t{patience.pending.count()}, std::int64_t{patience.cancelling.count()}},
  };
}

Query repeat_cancel_request(const Overdue& order, const std::string& traceparent,
                            const Patience& patience) {
  return {
      .name = "order.repeat_cancel_request",
      .read_only = false,
      .sql = R"sql(
        WITH moved AS (
          UPDATE orders
          SET awaited_event = $3::uuid, check_at = now() + make_interval(secs => $4::bigint)
          WHERE id = $1::uuid AND version = $2::bigint AND status = 'cancelling'
          RETURNING id
        )
        INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
        SELECT $3::uuid, 'order.cancel_requested', $5::text, $2::bigint, $6::jsonb,
               nullif($7::text, '')
        FROM moved
      )sql",
      .params = {param(order.id.uuid), order.version, param(crypto::new_uuid()),
                 std::int64_t{patience.cancelling.count()}, order.id.str(),
                 cancel_requested(order.id, order.customer, order.reason.value_or("expired")),
                 traceparent},
  };
}

}  // namespace stoa::order::queries
