#include "services/product-service/adapters/pg_stock_store.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/product-service/adapters/pg_catalogue_store.hpp"
#include "services/product-service/adapters/pg_reservation_sql.hpp"
#include "services/product-service/adapters/product_events.hpp"

namespace stoa::product {
namespace {

using postgres::Query;

constexpr std::string_view inbox_consumer = "product-service.order-settled";
constexpr std::int64_t overdue_claimed_max = 50;

ReservedLine read_line(const postgres::Row& row, Currency currency) {
  return {.variant = VariantId{row.uuid(0)},
          .product = ProductId{row.uuid(1)},
          .sku = std::string{row.text(2)},
          .name = std::string{row.text(3)},
          .quantity = row.number(4),
          .unit_price = Money{row.number(5), currency}};
}

/// Units of one variant in all lines.
std::int64_t quantity_of(const ReserveStock& command, VariantId variant) {
  std::int64_t sum = 0;
  for (const WantedLine& wanted : command.lines) {
    if (wanted.variant == variant) sum += wanted.quantity;
  }
  return sum;
}

/// Whether some variant's stock got low by this reservation: then the statement has told it.
bool got_low(const postgres::Rows& rows, const ReserveStock& command) {
  for (const postgres::Row row : rows) {
    const std::int64_t before = row.number(6);
    if (gets_low(before, before - quantity_of(command, VariantId{row.uuid(0)}))) return true;
  }
  return false;
}

Reserved read_reserved(const postgres::Rows& rows, const ReserveStock& command) {
  Reserved reserved{.reservation = {.id = command.id, .expires_at = rows.front().instant(8)}};
  for (const postgres::Row row : rows) {
    reserved.reservation.lines.push_back(read_line(row, command.currency));
    const ReservedLine& line = reserved.reservation.lines.back();
    if (row.number(6) == quantity_of(command, line.variant)) reserved.stale.push_back(line.product);
  }
  return reserved;
}

Error refusal(const postgres::Rows& rows) {
  std::vector<LineFacts> facts;
  for (const postgres::Row row : rows) {
    facts.push_back({.known = !row.is_null(3),
                     .priced = !row.is_null(5),
                     .covered = row.flag(7),
                     .available = row.is_null(6) ? 0 : row.number(6)});
  }
  return why_refused(facts, rows.front().number(10));
}

StaleProducts read_stale(const postgres::Rows& rows) {
  StaleProducts stale;
  for (const postgres::Row row : rows) stale.push_back(ProductId{row.uuid(0)});
  return stale;
}

Query find_level(VariantId id) {
  return {.name = "stock.level",
          .read_only = true,
          .sql =
              "SELECT s.on_hand, s.reserved, v.product_id"
              " FROM stock s JOIN variants v ON v.id = s.variant_id"
              " WHERE s.variant_id = $1::uuid AND s.warehouse = 'main'",
          .params = {postgres::param(id.uuid)}};
}

Query write_adjustment(const AdjustStock& command, const std::optional<std::string>& traceparent) {
  return {
      .name = "stock.adjust",
      .read_only = false,
      .sql = R"sql(
        WITH changed AS (
          UPDATE stock SET on_hand = on_hand + $2::bigint, version = version + 1
          WHERE variant_id = $1::uuid AND warehouse = 'main'
          RETURNING variant_id, on_hand - reserved AS available, version
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT $5::uuid, $6, $7, version,
                 jsonb_build_object('variant_id', $7::text, 'available', available), $9
          FROM changed
          WHERE available <= $8::bigint AND available - $2::bigint > $8::bigint
        )
        INSERT INTO stock_movements (variant_id, delta, kind, reason, actor)
        SELECT variant_id, $2::bigint, 'adjustment', $3, $4 FROM changed
      )sql",
      .params = {postgres::param(command.variant.uuid), command.delta, command.reason,
                 command.actor, postgres::param(command.event_id), std::string{stock_low_type},
                 command.variant.str(), stock_low_at, postgres::param(traceparent)},
  };
}

Query find_movements(VariantId id, std::int64_t before, std::int64_t count) {
  return {
      .name = "stock.movements",
      .read_only = true,
      .sql = R"sql(
        SELECT id, delta, kind, reason, reservation_id, import_id, actor,
               (extract(epoch FROM created_at) * 1000)::bigint
        FROM stock_movements WHERE variant_id = $1::uuid AND id < $2::bigint
        ORDER BY id DESC LIMIT $3::bigint
      )sql",
      .params = {postgres::param(id.uuid), before, count},
  };
}

/// By the index of the list, and no further than is told.
Query count_movements(VariantId id) {
  static const std::string sql = std::format(
      "SELECT count(*) FROM (SELECT FROM stock_movements WHERE variant_id = $1::uuid"
      " ORDER BY id DESC LIMIT {}) AS newest",
      list_count_limit);
  return {.name = "stock.count_movements",
          .read_only = true,
          .sql = sql,
          .params = {postgres::param(id.uuid)}};
}

StockMovement read_movement(const postgres::Row& row) {
  StockMovement movement{.number = row.number(0),
                         .delta = row.number(1),
                         .kind = std::string{row.text(2)},
                         .reason = std::string{row.text(3)},
                         .actor = std::string{row.text(6)},
                         .created_at = row.instant(7)};
  if (!row.is_null(4)) movement.reservation = ReservationId{row.uuid(4)};
  if (!row.is_null(5)) movement.import = ImportId{row.uuid(5)};
  return movement;
}

/// One transaction: the locks of what a settlement may move, then itself.
std::vector<Query> behind_locks(const std::vector<ReservationId>& ids, Query settlement) {
  std::vector<Query> queries{lock_reservations(ids), lock_stock_of_reservations(ids)};
  if (runtime::mutant<"product.settle_unlocked">()) queries.clear();
  queries.push_back(std::move(settlement));
  return queries;
}

std::unexpected<Error> no_such_variant() {
  return refuse(ErrorKind::not_found, "variant_not_found", "there is no such variant");
}

}  // namespace

Task<Result<Reserved>> PgStockStore::reserve(Context context, ReserveStock command) {
  std::vector<Uuid> event_ids;
  event_ids.reserve(command.lines.size());
  for (std::size_t i = 0; i < command.lines.size(); ++i) event_ids.push_back(next_uuid_());
  std::vector<Query> queries{lock_for(command), reserve_stock(command, clock_.deadline.count(),
                                                              event_ids, traceparent_of(context))};
  runtime::crash_point("product.reserve.before_commit");
  const auto results = co_await database_.run_all(context, std::move(queries));
  runtime::crash_point("product.reserve.after_commit");

  const postgres::Rows& rows = results.back();
  const bool made = !rows.front().is_null(8);
  if (made) {
    if (got_low(rows, command)) wake_relay_();
    co_return read_reserved(rows, command);
  }
  const bool known = rows.front().flag(9);
  if (known) co_return co_await repeat(context, std::move(command));
  co_return std::unexpected(refusal(rows));
}

Task<Result<Reserved>> PgStockStore::repeat(Context context, ReserveStock command) {
  const auto rows = co_await database_.run(std::move(context), find_reservation(command.id));
  require(!rows.empty(), "a reservation is never deleted");
  const auto currency = Currency::parse(rows.front().text(8));
  require(currency.has_value(), "a stored currency is one");
  Reserved reserved{
      .reservation = {.id = command.id, .expires_at = rows.front().instant(6), .lines = {}}};
  for (const postgres::Row row : rows) {
    reserved.reservation.lines.push_back(read_line(row, *currency));
  }
  if (*currency != command.currency || !same_lines(reserved.reservation.lines, command.lines)) {
    co_return refuse(ErrorKind::invalid, "reservation_reused",
                     "this id was used to reserve something else");
  }
  const auto state = parse_reservation_state(rows.front().text(7));
  if (state == ReservationState::released || state == ReservationState::restocked) {
    co_return refuse(ErrorKind::conflict, "reservation_ended", "the reservation has ended");
  }
  co_return reserved;
}

Task<StaleProducts> PgStockStore::settle(Context context, ReservationId id, Settlement settlement) {
  runtime::crash_point("product.release.before_commit");
  const std::vector<ReservationId> ids{id};
  auto queries = behind_locks(ids, settle_reservation(id, settlement));
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  runtime::crash_point("product.release.after_commit");
  co_return read_stale(results.back());
}

Task<SettledBatch> PgStockStore::settle_orders(Context context, std::vector<SettledOrder> orders) {
  runtime::crash_point("product.settle.before_commit");
  std::vector<ReservationId> ids;
  ids.reserve(orders.size());
  for (const SettledOrder& order : orders) ids.push_back(order.reservation);
  auto queries = behind_locks(ids, settle_events(orders, inbox_consumer));
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  runtime::crash_point("product.settle.after_commit");

  SettledBatch batch{.known = std::vector<bool>(orders.size(), true)};
  for (const postgres::Row row : results.back()) {
    if (row.text(0) == "stale") {
      batch.stale.push_back(ProductId{row.uuid(1)});
      continue;
    }
    for (std::size_t i = 0; i < orders.size(); ++i) {
      if (orders[i].event_id == row.uuid(1)) batch.known[i] = false;
    }
  }
  co_return batch;
}

Task<std::vector<OverdueReservation>> PgStockStore::claim_overdue(Context context) {
  const auto rows = co_await database_.run(
      std::move(context),
      claim_overdue_reservations(overdue_claimed_max, clock_.ask_again.count()));
  std::vector<OverdueReservation> overdue;
  for (const postgres::Row row : rows) {
    overdue.push_back({.id = ReservationId{row.uuid(0)}, .origin = row.uuid(1)});
  }
  co_return overdue;
}

Task<std::optional<StockLevel>> PgStockStore::level(Context context, VariantId id) {
  const auto rows = co_await database_.run(std::move(context), find_level(id));
  if (rows.empty()) co_return std::nullopt;
  co_return StockLevel{
      .variant = id, .on_hand = rows.front().number(0), .reserved = rows.front().number(1)};
}

Task<Result<Adjusted>> PgStockStore::adjust(Context context, AdjustStock command) {
  auto transaction = co_await database_.begin(context);
  co_await transaction.run(lock_stock(std::vector<Uuid>{command.variant.uuid}));
  const auto rows = co_await transaction.run(find_level(command.variant));
  if (rows.empty()) co_return no_such_variant();
  const StockLevel before{.variant = command.variant,
                          .on_hand = rows.front().number(0),
                          .reserved = rows.front().number(1)};
  const ProductId product{rows.front().uuid(2)};
  auto after = adjusted(before, command.delta);
  if (!after) co_return std::unexpected(std::move(after.error()));

  Adjusted outcome{.answer = command.render(*after)};
  if (command.key) {
    const auto key = co_await transaction.run(insert_key(*command.key, *outcome.answer));
    if (key.empty()) co_return Adjusted{};
  }
  co_await transaction.run(write_adjustment(command, traceparent_of(context)));
  co_await transaction.commit();
  if (gets_low(before.available(), after->available())) wake_relay_();
  const bool turned = (before.available() > 0) != (after->available() > 0);
  if (turned) outcome.stale.push_back(product);
  co_return outcome;
}

Task<Result<MovementPage>> PgStockStore::movements(Context context, ListMovements query) {
  const std::int64_t from = query.before.value_or(std::numeric_limits<std::int64_t>::max());
  std::vector<Query> queries{find_level(query.variant),
                             find_movements(query.variant, from, query.limit + 1)};
  if (query.with_total) queries.push_back(count_movements(query.variant));
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  if (results[0].empty()) co_return no_such_variant();

  MovementPage page;
  for (const postgres::Row row : results[1]) page.movements.push_back(read_movement(row));
  if (page.movements.size() > static_cast<std::size_t>(query.limit)) {
    page.movements.resize(static_cast<std::size_t>(query.limit));
    page.next = page.movements.back().number;
  }
  if (query.with_total) page.total = ListTotal::of(results[2].front().number(0));
  co_return page;
}

}  // namespace stoa::product
