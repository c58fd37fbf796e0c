#include "services/product-service/adapters/pg_reservation_sql.hpp"

#include <format>
#include <string>
#include <utility>

#include "servicekit/runtime/mutant.hpp"

#include "services/product-service/adapters/product_events.hpp"

namespace stoa::product {
namespace {

using postgres::Param;
using postgres::Query;

// From `moved` (id, was, now_is, variant_ids, quantities): what that does to the stock, with its
// journal. active gives back what it held; committed takes it away; restocked brings it back.
std::string_view stock_effect() {
  return runtime::mutant_sql<"product.sale_not_in_journal">(R"sql(
  change AS (
    SELECT l.variant_id, m.id AS reservation_id,
           sum(CASE WHEN m.was = 'active' THEN -l.quantity ELSE 0 END)::bigint AS reserved,
           sum(CASE m.now_is WHEN 'committed' THEN -l.quantity
                             WHEN 'restocked' THEN l.quantity ELSE 0 END)::bigint AS on_hand
    FROM moved m, unnest(m.variant_ids, m.quantities) AS l (variant_id, quantity)
    GROUP BY l.variant_id, m.id
  ), total AS (
    SELECT variant_id, sum(reserved)::bigint AS reserved, sum(on_hand)::bigint AS on_hand
    FROM change GROUP BY variant_id
  ), changed AS (
    UPDATE stock s SET reserved = s.reserved + t.reserved, on_hand = s.on_hand + t.on_hand,
                       version = s.version + 1
    FROM total t WHERE s.variant_id = t.variant_id AND s.warehouse = 'main'
    RETURNING s.variant_id, s.on_hand - s.reserved AS available, t.on_hand - t.reserved AS gained
  ), journal AS (
    INSERT INTO stock_movements (variant_id, delta, kind, reservation_id)
    SELECT variant_id, on_hand, CASE WHEN on_hand < 0 THEN 'sale' ELSE 'restock' END, reservation_id
    FROM change WHERE on_hand <> 0
  ), stale AS (
    SELECT DISTINCT v.product_id FROM changed c JOIN variants v ON v.id = c.variant_id
    WHERE c.gained > 0 AND c.available <= c.gained
  ))sql",
                                                            "FROM change WHERE on_hand <> 0",
                                                            "FROM change WHERE false");
}

std::vector<Uuid> uuids_of(const std::vector<ReservationId>& reservations) {
  std::vector<Uuid> ids;
  ids.reserve(reservations.size());
  for (const ReservationId id : reservations) ids.push_back(id.uuid);
  return ids;
}

std::vector<Uuid> variants_of(const std::vector<WantedLine>& lines) {
  std::vector<Uuid> variants;
  variants.reserve(lines.size());
  for (const WantedLine& line : lines) variants.push_back(line.variant.uuid);
  return variants;
}

const char* wire(Settlement settlement) {
  switch (settlement) {
    case Settlement::commit:
      return "commit";
    case Settlement::release:
      return "release";
    case Settlement::end:
      return "end";
  }
  std::unreachable();
}

}  // namespace

// In the order of everybody who takes several: buyer, reservation, variants by their keys. Also
// settles how the rest of the transaction is planned: PostgreSQL judges a generic plan of
// reserve_stock() dearer than one for these very lines, and planned it anew each time, 1.7 ms of
// 2.6. Every step of it is by a key, so that one plan serves all.
Query lock_for(const ReserveStock& command) {
  return {.name = "reservation.lock_all",
          .read_only = false,
          .sql = runtime::mutant_sql<"product.reserve_read_then_write">(
              R"sql(
            SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
                   pg_advisory_xact_lock(key)
            FROM (SELECT 0 AS rank, hashtextextended($1, 0) AS key
                  UNION ALL SELECT 1, hashtextextended($2, 2)
                  UNION ALL (SELECT DISTINCT 2, hashtextextended(id::text, 1)
                             FROM unnest($3::uuid[]) AS w (id))
                  ORDER BY rank, key) AS ordered
          )sql",
              "AS w (id))", "AS w (id) WHERE false)"),
          .params = {postgres::param(command.buyer.uuid), postgres::param(command.id.uuid),
                     postgres::array(variants_of(command.lines))}};
}

// As above: a settlement is planned once.
Query lock_reservations(const std::vector<ReservationId>& reservations) {
  return {.name = "reservation.lock",
          .read_only = false,
          .sql = R"sql(
            SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
                   pg_advisory_xact_lock(key)
            FROM (SELECT DISTINCT hashtextextended(id::text, 2) AS key
                  FROM unnest($1::uuid[]) AS w (id) ORDER BY key) AS ordered
          )sql",
          .params = {postgres::array(uuids_of(reservations))}};
}

Query lock_stock(const std::vector<Uuid>& variants) {
  return {.name = "stock.lock",
          .read_only = false,
          .sql = R"sql(
            SELECT pg_advisory_xact_lock(key)
            FROM (SELECT DISTINCT hashtextextended(id::text, 1) AS key
                  FROM unnest($1::uuid[]) AS w (id) ORDER BY key) AS ordered
          )sql",
          .params = {postgres::array(variants)}};
}

// The lines of a reservation never change, so that this finds its stock once it is there.
Query lock_stock_of_reservations(const std::vector<ReservationId>& reservations) {
  return {.name = "stock.lock_of_reservations",
          .read_only = false,
          .sql = R"sql(
            SELECT pg_advisory_xact_lock(key)
            FROM (SELECT DISTINCT hashtextextended(l.id::text, 1) AS key
                  FROM reservations r, unnest(r.variant_ids) AS l (id)
                  WHERE r.id = ANY($1::uuid[]) ORDER BY key) AS ordered
          )sql",
          .params = {postgres::array(uuids_of(reservations))}};
}

Query reserve_stock(const ReserveStock& command, std::int64_t deadline_seconds,
                    const std::vector<Uuid>& event_ids,
                    const std::optional<std::string>& traceparent) {
  std::vector<Uuid> variants;
  std::vector<std::int64_t> quantities;
  std::vector<std::string> subjects;
  for (const WantedLine& line : command.lines) {
    variants.push_back(line.variant.uuid);
    quantities.push_back(line.quantity);
    subjects.push_back(line.variant.str());
  }
  return {
      .name = "reservation.reserve",
      .read_only = false,
      .sql = R"sql(
        WITH wanted AS (
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[]) WITH ORDINALITY
                        AS w (variant_id, quantity, subject, event_id, position)
        ), needed AS (
          SELECT variant_id, sum(quantity)::bigint AS quantity, min(subject) AS subject,
                 (array_agg(event_id))[1] AS event_id
          FROM wanted GROUP BY variant_id
        ), before AS (
          SELECT EXISTS (SELECT FROM reservations WHERE id = $5::uuid) AS known,
                 (SELECT count(*) FROM reservations
                  WHERE buyer = $6::uuid AND state = 'active') AS open_count
        ), there AS (
          SELECT s.variant_id, s.on_hand - s.reserved AS available, n.quantity
          FROM needed n JOIN stock s ON s.variant_id = n.variant_id AND s.warehouse = 'main'
        ), line AS (
          SELECT w.position, w.variant_id, w.quantity, v.product_id, v.sku,
                 p.name || CASE v.title WHEN '' THEN '' ELSE ' - ' || v.title END AS name,
                 a.amount_minor, t.available, coalesce(t.available >= t.quantity, false) AS covered
          FROM wanted w
          LEFT JOIN variants v ON v.id = w.variant_id
          LEFT JOIN products p ON p.id = v.product_id AND p.status = 'active'
          LEFT JOIN prices a ON a.variant_id = w.variant_id AND a.currency = $7
          LEFT JOIN there t ON t.variant_id = w.variant_id
        ), made AS (
          INSERT INTO reservations (id, origin, buyer, currency, state, variant_ids, product_ids,
                                    skus, names, quantities, amounts_minor, expires_at, check_at)
          SELECT $5, $8::uuid, $6, $7, 'active',
                 array_agg(variant_id ORDER BY position), array_agg(product_id ORDER BY position),
                 array_agg(sku ORDER BY position), array_agg(name ORDER BY position),
                 array_agg(quantity ORDER BY position), array_agg(amount_minor ORDER BY position),
                 now() + $9::bigint * interval '1 second', now() + $9::bigint * interval '1 second'
          FROM line
          HAVING bool_and(covered AND amount_minor IS NOT NULL AND name IS NOT NULL)
             AND (SELECT NOT known AND open_count < $10::bigint FROM before)
          ON CONFLICT (id) DO NOTHING
          RETURNING expires_at
        ), taken AS (
          UPDATE stock s SET reserved = s.reserved + n.quantity, version = s.version + 1
          FROM needed n, made
          WHERE s.variant_id = n.variant_id AND s.warehouse = 'main'
          RETURNING s.on_hand - s.reserved AS available, n.quantity, n.subject, n.event_id,
                    s.version
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT event_id, $11, subject, version,
                 jsonb_build_object('variant_id', subject, 'available', available), $13
          FROM taken WHERE available <= $12::bigint AND available + quantity > $12::bigint
        )
        SELECT l.variant_id, l.product_id, l.sku, l.name, l.quantity, l.amount_minor, l.available,
               l.covered, (extract(epoch FROM m.expires_at) * 1000)::bigint, b.known, b.open_count
        FROM line l CROSS JOIN before b LEFT JOIN made m ON true
        ORDER BY l.position
      )sql",
      .params = {postgres::array(variants), postgres::array(quantities), postgres::array(subjects),
                 postgres::array(event_ids), postgres::param(command.id.uuid),
                 postgres::param(command.buyer.uuid), std::string{command.currency.code()},
                 postgres::param(command.origin), deadline_seconds, open_reservations_max,
                 std::string{stock_low_type}, stock_low_at, postgres::param(traceparent)},
  };
}

Query find_reservation(ReservationId id) {
  return {
      .name = "reservation.find",
      .read_only = true,
      .sql = R"sql(
        SELECT l.variant_id, l.product_id, l.sku, l.name, l.quantity, l.amount_minor,
               (extract(epoch FROM r.expires_at) * 1000)::bigint, r.state, r.currency
        FROM reservations r,
             unnest(r.variant_ids, r.product_ids, r.skus, r.names, r.quantities, r.amounts_minor)
             WITH ORDINALITY
             AS l (variant_id, product_id, sku, name, quantity, amount_minor, position)
        WHERE r.id = $1::uuid ORDER BY l.position
      )sql",
      .params = {postgres::param(id.uuid)},
  };
}

Query settle_reservation(ReservationId id, Settlement settlement) {
  static const std::string sql = std::format(
      R"sql(
        WITH open AS (
          SELECT id, state AS was FROM reservations
          WHERE id = $1::uuid AND (state = 'active' OR (state = 'committed' AND $2 = 'end'))
        ), moved AS (
          UPDATE reservations r
          SET state = CASE WHEN o.was = 'committed' THEN 'restocked'
                           WHEN $2 = 'commit' THEN 'committed' ELSE 'released' END,
              ended_at = now()
          FROM open o WHERE r.id = o.id
          RETURNING r.id, o.was, r.state AS now_is, r.variant_ids, r.quantities
        ), {}
        SELECT product_id FROM stale
      )sql",
      stock_effect());
  return {.name = "reservation.settle",
          .read_only = false,
          .sql = sql,
          .params = {postgres::param(id.uuid), std::string{wire(settlement)}}};
}

// An order that was paid and cancelled within one batch ends: its units were never gone for long.
Query settle_events(const std::vector<SettledOrder>& orders, std::string_view consumer) {
  std::vector<Uuid> events;
  std::vector<Uuid> reservations;
  std::vector<std::string> settlements;
  for (const SettledOrder& order : orders) {
    events.push_back(order.event_id);
    reservations.push_back(order.reservation.uuid);
    settlements.emplace_back(wire(settlement_of(order.outcome)));
  }
  static const std::string sql = std::format(
      R"sql(
        WITH event AS (
          SELECT e.event_id, e.reservation_id, e.settlement,
                 EXISTS (SELECT FROM reservations r WHERE r.id = e.reservation_id) AS known
          FROM unnest($1::uuid[], $2::uuid[], $3::text[])
               AS e (event_id, reservation_id, settlement)
        ), claimed AS (
          INSERT INTO inbox (consumer, event_id)
          SELECT DISTINCT $4, event_id FROM event WHERE known ORDER BY event_id
          ON CONFLICT DO NOTHING
          RETURNING event_id
        ), wanted AS (
          SELECT e.reservation_id, bool_or(e.settlement = 'end') AS ends
          FROM event e JOIN claimed USING (event_id) GROUP BY e.reservation_id
        ), open AS (
          SELECT r.id, r.state AS was, w.ends
          FROM wanted w JOIN reservations r ON r.id = w.reservation_id
          WHERE r.state = 'active' OR (r.state = 'committed' AND w.ends)
        ), moved AS (
          UPDATE reservations r
          SET state = CASE WHEN o.was = 'committed' THEN 'restocked'
                           WHEN NOT o.ends THEN 'committed' ELSE 'released' END,
              ended_at = now()
          FROM open o WHERE r.id = o.id
          RETURNING r.id, o.was, r.state AS now_is, r.variant_ids, r.quantities
        ), {}
        SELECT 'unknown', event_id FROM event WHERE NOT known
        UNION ALL SELECT 'stale', product_id FROM stale
      )sql",
      stock_effect());
  return {.name = "reservation.settle_events",
          .read_only = false,
          .sql = runtime::mutant_sql<"product.settled_settles_again">(
              sql, "WHERE r.state = 'active' OR (r.state = 'committed' AND w.ends)", ""),
          .params = {postgres::array(events), postgres::array(reservations),
                     postgres::array(settlements), std::string{consumer}}};
}

Query claim_overdue_reservations(std::int64_t count_max, std::int64_t ask_again_seconds) {
  return {
      .name = "reservation.claim_overdue",
      .read_only = false,
      .sql = R"sql(
        UPDATE reservations SET check_at = now() + $2::bigint * interval '1 second'
        WHERE id IN (
          SELECT id FROM reservations WHERE state = 'active' AND check_at <= now()
          ORDER BY check_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
        RETURNING id, origin
      )sql",
      .params = {count_max, ask_again_seconds},
  };
}

}  // namespace stoa::product
