#include "services/order-service/adapters/pg_order_queries.hpp"

#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/order-service/adapters/order_events.hpp"
#include "services/order-service/adapters/order_json.hpp"

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

// The columns of an order, as order_of() reads them.
constexpr std::string_view select_orders = R"sql(
  SELECT id, number, customer_id, reservation_id, status, version, reason, currency,
         subtotal_minor, discount_minor, tax_minor, shipping_minor, total_minor,
         facts, shipping_address, shipping_method,
         (extract(epoch FROM created_at) * 1000)::bigint,
         (extract(epoch FROM updated_at) * 1000)::bigint
  FROM orders
)sql";

// Static: the address of the text keys the prepared statement.
std::string_view list_sql(bool by_status, bool oldest_first) {
  const auto make = [](std::string_view conditions) {
    return std::string{select_orders} + std::string{conditions} + " LIMIT $4::bigint";
  };
  constexpr std::string_view common =
      "WHERE ($1::uuid IS NULL OR customer_id = $1::uuid)"
      " AND ($2::text[] IS NULL OR status = ANY ($2::text[])) ";
  constexpr std::string_view statuses =
      "WHERE ($1::uuid IS NULL OR customer_id = $1::uuid) AND status = ANY ($2::text[]) ";
  constexpr std::string_view newest = "AND ($3::uuid IS NULL OR id < $3::uuid) ORDER BY id DESC";
  constexpr std::string_view oldest = "AND ($3::uuid IS NULL OR id > $3::uuid) ORDER BY id";
  static const std::string all_newest = make(std::string{common} + std::string{newest});
  static const std::string all_oldest = make(std::string{common} + std::string{oldest});
  static const std::string some_newest = make(std::string{statuses} + std::string{newest});
  static const std::string some_oldest = make(std::string{statuses} + std::string{oldest});
  if (by_status) return oldest_first ? some_oldest : some_newest;
  return oldest_first ? all_oldest : all_newest;
}

}  // namespace

// Not a read for PostgreSQL: it takes the number that the order would have, so that the answer can
// be rendered, and stored, before the order is.
Query look_up(const IdempotencyKey& key) {
  return {
      .name = "order.look_up",
      .read_only = false,
      .sql = R"sql(
        SELECT encode(k.fingerprint, 'hex'), k.status, k.headers, k.body,
               (SELECT count(*) FROM reservation_claims c WHERE c.origin = $1),
               CASE WHEN k.origin IS NULL THEN nextval('order_numbers') ELSE 0 END
        FROM (VALUES (1)) AS always (one)
        LEFT JOIN idempotency_keys k ON k.origin = $1 AND k.expires_at > now()
      )sql",
      .params = {param(key.origin.value)},
  };
}

Query first_answer(const IdempotencyKey& key) {
  return {
      .name = "order.first_answer",
      .read_only = true,
      .sql = R"sql(
        SELECT encode(fingerprint, 'hex'), status, headers, body
        FROM idempotency_keys WHERE origin = $1 AND expires_at > now()
      )sql",
      .params = {param(key.origin.value)},
  };
}

// One statement, hence one round trip and one transaction. Two racing twins meet on the primary
// key of reservation_claims: one inserts, the other waits for it and then gets no row back.
// Who wins the claim also wins the key, because a generation is tried only when every claim
// before it is a tombstone, and a tombstone takes no key.
Query insert_all(const NewOrder& placed, const std::string& traceparent, const Patience& patience) {
  const Order& order = placed.order;
  const Amounts& amounts = order.amounts;
  return {
      .name = "order.insert_all",
      .read_only = false,
      .sql = R"sql(
        WITH claimed AS (
          INSERT INTO reservation_claims (reservation_id, origin, order_id)
          VALUES ($1::uuid, $2::uuid, $3::uuid)
          ON CONFLICT (reservation_id) DO NOTHING
          RETURNING order_id
        ), kept AS (
          INSERT INTO idempotency_keys
            (origin, caller, fingerprint, status, headers, body, expires_at)
          SELECT $2::uuid, $4::text, decode($5::text, 'hex'), $6::int, $7::text, $8::text,
                 now() + interval '72 hours'
          FROM claimed
          ON CONFLICT (origin) DO UPDATE
            SET caller = excluded.caller, fingerprint = excluded.fingerprint,
                status = excluded.status, headers = excluded.headers, body = excluded.body,
                expires_at = excluded.expires_at
        ), placed AS (
          INSERT INTO orders
            (id, number, customer_id, reservation_id, status, version, currency,
             subtotal_minor, discount_minor, tax_minor, shipping_minor, total_minor,
             facts, shipping_address, shipping_method, created_at, check_at, awaited_event)
          SELECT order_id, $9::bigint, $10::uuid, $1::uuid, 'pending', 1, $11::text,
                 $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint,
                 $17::jsonb, $18::jsonb, $19::text, $20::timestamptz,
                 now() + make_interval(secs => $21::bigint), $22::uuid
          FROM claimed
        ), noted AS (
          INSERT INTO order_history (order_id, version, type, status)
          SELECT order_id, 1, 'order.placed', 'pending' FROM claimed
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT $22::uuid, 'order.placed', $23::text, 1, $24::jsonb, nullif($25::text, '')
          FROM claimed
        )
        SELECT order_id FROM claimed
      )sql",
      .params = {param(order.reservation.uuid),
                 param(placed.key.origin.value),
                 param(order.id.uuid),
                 placed.key.caller,
                 placed.key.fingerprint,
                 std::int64_t{placed.answer.status},
                 placed.answer.headers,
                 placed.answer.body,
                 order.number.value,
                 param(order.customer.uuid),
                 std::string{amounts.total.currency().code()},
                 amounts.subtotal.minor_units(),
                 amounts.discount.minor_units(),
                 amounts.tax.minor_units(),
                 amounts.shipping.minor_units(),
                 amounts.total.minor_units(),
                 facts_json(order),
                 address_json(order.shipping_address),
                 order.shipping_method,
                 param(order.created_at),
                 std::int64_t{patience.pending.count()},
                 param(crypto::new_uuid()),
                 order.id.str(),
                 order_placed(order, placed.payment_token),
                 traceparent},
  };
}

// A tombstone is a claim without an order: an abandoned reservation can never be sold again. The
// empty update takes the lock of a row that is there, so that what it returns is committed.
Query write_tombstone(const ReservationId& id, const Origin& origin) {
  return {
      .name = "order.write_tombstone",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO reservation_claims AS c (reservation_id, origin, order_id)
        VALUES ($1, $2, NULL)
        ON CONFLICT (reservation_id) DO UPDATE SET origin = c.origin
        RETURNING order_id
      )sql",
      .params = {param(id.uuid), param(origin.value)},
  };
}

Query status_of(const OrderId& id) {
  return {
      .name = "order.status_of",
      .read_only = true,
      .sql = "SELECT status FROM orders WHERE id = $1",
      .params = {param(id.uuid)},
  };
}

Query find(const OrderId& id) {
  static const std::string sql = std::string{select_orders} + " WHERE id = $1";
  return {.name = "order.find", .read_only = true, .sql = sql, .params = {param(id.uuid)}};
}

Query list(const ListOrders& query) {
  Param customer = nullptr;
  if (query.customer) customer = param(query.customer->uuid);
  Param after = nullptr;
  if (query.after) after = param(query.after->uuid);
  std::vector<std::string> names;
  for (const Status status : query.statuses) names.emplace_back(name(status));
  // A customer's orders are few: their index serves with any filter. Everybody's need the index by
  // status.
  const bool by_status = !query.customer && !names.empty();
  return {
      .name = query.customer ? "order.list" : "order.list_all",
      .read_only = true,
      .sql = list_sql(by_status, query.oldest_first),
      .params = {std::move(customer), names.empty() ? Param{nullptr} : postgres::array(names),
                 std::move(after), static_cast<std::int64_t>(query.limit + 1)},
  };
}

Query history(const OrderId& id) {
  return {
      .name = "order.history",
      .read_only = true,
      .sql = R"sql(
        SELECT type, status, version, reason, (extract(epoch FROM at) * 1000)::bigint
        FROM order_history WHERE order_id = $1 ORDER BY version LIMIT 100
      )sql",
      .params = {param(id.uuid)},
  };
}

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

// The orders are locked first, each in the order of its id, so that two batches cannot deadlock and
// the transition is chosen by the state that the lock shows, not by an older snapshot.
Query apply(const std::vector<PaymentFact>& facts) {
  std::vector<Uuid> events;
  std::vector<Uuid> orders;
  std::vector<Uuid> told_as;
  std::vector<std::string> results;
  std::vector<std::optional<std::string>> reasons;
  std::vector<std::string> traces;
  for (const PaymentFact& fact : facts) {
    events.push_back(fact.event);
    orders.push_back(fact.order.uuid);
    told_as.push_back(crypto::new_uuid());
    results.emplace_back(name_of(fact.result));
    reasons.push_back(fact.reason);
    traces.push_back(fact.traceparent);
  }
  std::vector<std::string> rule_results;
  std::vector<std::string> rule_from;
  std::vector<std::string> rule_to;
  std::vector<std::string> rule_events;
  for (const PaymentTransition& rule : payment_transitions) {
    rule_results.emplace_back(name_of(rule.result));
    rule_from.emplace_back(name(rule.from));
    rule_to.emplace_back(name(rule.to));
    rule_events.emplace_back(event_type(rule.to));
  }
  return {
      .name = "order.apply",
      .read_only = false,
      .sql = R"sql(
        WITH incoming AS (
          SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
            AS fact (event_id, order_id, told_as, result, reason, traceparent)
        ), known AS (
          SELECT id, status FROM orders WHERE id = ANY ($2::uuid[]) ORDER BY id FOR UPDATE
        ), claimed AS (
          INSERT INTO inbox (consumer, event_id)
          SELECT 'order-service.payment-results', i.event_id
          FROM incoming i JOIN known k ON k.id = i.order_id
          ON CONFLICT DO NOTHING
          RETURNING event_id
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
          WHERE o.id = k.id AND o.status = k.status
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
      .params = {postgres::array(events), postgres::array(orders), postgres::array(told_as),
                 postgres::array(results), postgres::array(reasons), postgres::array(traces),
                 postgres::array(rule_results), postgres::array(rule_from),
                 postgres::array(rule_to), postgres::array(rule_events)},
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

Order order_of(const postgres::Row& row) {
  const auto status = parse_status(row.text(4));
  const auto currency = Currency::parse(row.text(7));
  require(status && currency, "a stored order has a known status and currency");
  const auto money = [&](int column) { return Money{row.number(column), *currency}; };
  return {.id = {row.uuid(0)},
          .number = {row.number(1)},
          .customer = {row.uuid(2)},
          .reservation = {row.uuid(3)},
          .lines = parse_facts_lines(row.text(13)),
          .amounts = {.subtotal = money(8),
                      .discount = money(9),
                      .tax = money(10),
                      .shipping = money(11),
                      .total = money(12)},
          .shipping_address = parse_stored_address(row.text(14)),
          .shipping_method = std::string{row.text(15)},
          .status = *status,
          .version = row.number(5),
          .reason = row.optional_text(6),
          .created_at = row.instant(16),
          .updated_at = row.instant(17)};
}

}  // namespace stoa::order::queries
