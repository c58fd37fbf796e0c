#include "services/order-service/adapters/pg_order_queries.hpp"

#include <format>
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

// The columns of an order, as order_of() reads them.
constexpr std::string_view order_columns = R"sql(
  SELECT id, number, customer_id, reservation_id, status, version, reason, currency,
         subtotal_minor, discount_minor, tax_minor, shipping_minor, total_minor,
         facts, shipping_address, shipping_method,
         (extract(epoch FROM created_at) * 1000)::bigint,
         (extract(epoch FROM updated_at) * 1000)::bigint
)sql";

// Appended, not a sum of temporaries: GCC 14 at -O2 takes their move for a read out of bounds.
std::string orders_where(std::string_view rest) {
  std::string text{order_columns};
  text += rest;
  return text;
}

// A prepared statement keeps a plan that must suit every parameter, so each shape of a list has a
// text of its own in which the index's columns are compared plainly; "no cursor yet" is an id
// beyond all others, not a NULL. Static: the address of the text keys the prepared statement.
std::string_view customer_sql(bool oldest_first) {
  static const std::string newest = orders_where(
      "FROM orders WHERE customer_id = $1::uuid AND id < $3::uuid"
      " AND ($2::text[] IS NULL OR status = ANY ($2::text[])) ORDER BY id DESC LIMIT $4::bigint");
  static const std::string oldest = orders_where(
      "FROM orders WHERE customer_id = $1::uuid AND id > $3::uuid"
      " AND ($2::text[] IS NULL OR status = ANY ($2::text[])) ORDER BY id LIMIT $4::bigint");
  return oldest_first ? oldest : newest;
}

std::string_view all_sql(bool oldest_first) {
  static const std::string newest =
      orders_where("FROM orders WHERE id < $1::uuid ORDER BY id DESC LIMIT $2::bigint");
  static const std::string oldest =
      orders_where("FROM orders WHERE id > $1::uuid ORDER BY id LIMIT $2::bigint");
  return oldest_first ? oldest : newest;
}

// A page of each status by its index, then the page of them all.
std::string_view by_status_sql(bool oldest_first) {
  static const std::string newest = orders_where(
      "FROM unnest($1::text[]) AS wanted (wanted_status) CROSS JOIN LATERAL"
      " (SELECT * FROM orders WHERE status = wanted_status AND id < $2::uuid"
      " ORDER BY id DESC LIMIT $3::bigint) AS orders ORDER BY id DESC LIMIT $3::bigint");
  static const std::string oldest = orders_where(
      "FROM unnest($1::text[]) AS wanted (wanted_status) CROSS JOIN LATERAL"
      " (SELECT * FROM orders WHERE status = wanted_status AND id > $2::uuid"
      " ORDER BY id LIMIT $3::bigint) AS orders ORDER BY id LIMIT $3::bigint");
  return oldest_first ? oldest : newest;
}

// Orders in the order of the list: by its index. No further than is told.
std::string counted(std::string_view orders) {
  return std::format("SELECT count(*) FROM (SELECT {} LIMIT {}) AS newest", orders,
                     list_count_limit);
}

std::vector<std::string> names_of(const std::vector<Status>& statuses) {
  std::vector<std::string> names;
  names.reserve(statuses.size());
  for (const Status status : statuses) names.emplace_back(name(status));
  return names;
}

Param any_of(const std::vector<std::string>& names) {
  return names.empty() ? Param{nullptr} : postgres::array(names);
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
  static const std::string sql = orders_where("FROM orders WHERE id = $1");
  return {.name = "order.find", .read_only = true, .sql = sql, .params = {param(id.uuid)}};
}

Query list(const ListOrders& query) {
  Uuid after{};
  if (!query.oldest_first) after.bytes.fill(0xFF);
  if (query.after) after = query.after->uuid;
  const auto names = names_of(query.statuses);
  const auto limit = static_cast<std::int64_t>(query.limit + 1);

  if (query.customer) {
    return {.name = "order.list",
            .read_only = true,
            .sql = customer_sql(query.oldest_first),
            .params = {param(query.customer->uuid), any_of(names), param(after), limit}};
  }
  if (names.empty()) {
    return {.name = "order.list_all",
            .read_only = true,
            .sql = all_sql(query.oldest_first),
            .params = {param(after), limit}};
  }
  return {.name = "order.list_by_status",
          .read_only = true,
          .sql = by_status_sql(query.oldest_first),
          .params = {postgres::array(names), param(after), limit}};
}

Query count(const ListOrders& query) {
  static const std::string of_customer = counted(
      "FROM orders WHERE customer_id = $1::uuid"
      " AND ($2::text[] IS NULL OR status = ANY ($2::text[])) ORDER BY id DESC");
  static const std::string of_all = counted("FROM orders ORDER BY id DESC");
  static const std::string by_status = counted(std::format(
      "FROM unnest($1::text[]) AS wanted (wanted_status) CROSS JOIN LATERAL"
      " (SELECT id FROM orders WHERE status = wanted_status ORDER BY id DESC LIMIT {}) AS each",
      list_count_limit));
  const auto names = names_of(query.statuses);
  if (query.customer) {
    return {.name = "order.count",
            .read_only = true,
            .sql = of_customer,
            .params = {param(query.customer->uuid), any_of(names)}};
  }
  if (names.empty()) {
    return {.name = "order.count_all", .read_only = true, .sql = of_all, .params = {}};
  }
  return {.name = "order.count_by_status",
          .read_only = true,
          .sql = by_status,
          .params = {postgres::array(names)}};
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
