#include "services/order-service/adapters/pg_order_store.hpp"

#include <map>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/postgres/idempotency.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/order-service/adapters/order_events.hpp"
#include "services/order-service/adapters/pg_order_queries.hpp"

namespace stoa::order {
namespace {

using runtime::crash_point;

std::size_t index_of(Status status) { return std::to_underlying(status); }

std::string traceparent_of(const Context& context) {
  return context.trace.valid() ? context.trace.traceparent() : "";
}

Result<Answer> answer_of(const postgres::Row& row, const IdempotencyKey& key) {
  if (row.text(0) != key.fingerprint) {
    return refuse(ErrorKind::invalid, "idempotency_key_reused",
                  "this Idempotency-Key came with another request");
  }
  return Answer{.status = static_cast<int>(row.number(1)),
                .headers = std::string{row.text(2)},
                .body = std::string{row.text(3)},
                .replayed = true};
}

OrderPage read_page(const postgres::Rows& rows, std::size_t limit) {
  OrderPage page{.orders = {}, .has_more = rows.size() > limit};
  for (const auto row : rows) {
    if (page.orders.size() == limit) break;
    page.orders.push_back(queries::order_of(row));
  }
  return page;
}

}  // namespace

PgOrderStore::PgOrderStore(postgres::Database& database, telemetry::Telemetry& telemetry,
                           Patience patience)
    : database_{database}, telemetry_{telemetry}, patience_{patience} {
  for (const Status status : all_statuses) {
    const telemetry::Labels labels{{"status", std::string{name(status)}}};
    moved_[index_of(status)] =
        telemetry.counter("stoa_orders_moved_total", "Orders that came into this status.", labels);
    overdue_[index_of(status)] = telemetry.counter(
        "stoa_orders_overdue_total", "Orders found waiting past their deadline.", labels);
  }
}

Task<Result<KeyState>> PgOrderStore::look_up(Context context, IdempotencyKey key) {
  const auto rows = co_await database_.run_grouped(std::move(context), queries::look_up(key));
  const auto row = rows.front();
  KeyState state{.answered = std::nullopt,
                 .generation = static_cast<std::uint32_t>(row.number(4)),
                 .number = {row.number(5)}};
  if (row.is_null(0)) co_return state;
  auto answer = answer_of(row, key);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  state.answered = std::move(*answer);
  co_return state;
}

Task<Result<std::optional<Answer>>> PgOrderStore::first_answer(Context context,
                                                               IdempotencyKey key) {
  const auto rows = co_await database_.run(std::move(context), queries::first_answer(key));
  if (rows.empty()) co_return std::nullopt;
  auto answer = answer_of(rows.front(), key);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  co_return std::move(*answer);
}

Task<bool> PgOrderStore::insert_if_first(Context context, NewOrder placed) {
  auto query = queries::insert_all(placed, traceparent_of(context), patience_);
  if (runtime::mutant<"order.key_apart">()) co_await keep_key(context, placed);
  crash_point("order.place.before_commit");
  const auto rows = co_await database_.run_grouped(context, std::move(query));
  crash_point("order.place.after_commit");
  if (rows.empty()) co_return false;
  moved_[index_of(Status::pending)].add();
  telemetry_.info(context, "order_placed",
                  {{"order_id", placed.order.id.str()},
                   {"customer_id", placed.order.customer.str()},
                   {"amount_minor", placed.order.amounts.total.minor_units()},
                   {"currency", placed.order.amounts.total.currency().code()}});
  co_return true;
}

// Of a mutant: in a transaction of its own, so that a crash leaves an answer without its order.
Task<> PgOrderStore::keep_key(Context context, NewOrder placed) {
  auto query = postgres::insert_idempotency_key({.origin = placed.key.origin.value,
                                                 .caller = placed.key.caller,
                                                 .fingerprint = placed.key.fingerprint},
                                                {.status = placed.answer.status,
                                                 .headers = placed.answer.headers,
                                                 .body = placed.answer.body});
  co_await database_.run(std::move(context), std::move(query));
}

Task<Claim> PgOrderStore::abandon(Context context, ReservationId id, Origin origin) {
  crash_point("order.abandon.before_commit");
  const auto claims = co_await database_.run(context, queries::write_tombstone(id, origin));
  crash_point("order.abandon.after_commit");
  const bool nobody_asks = runtime::mutant<"order.tombstone_over_order">();
  if (claims.front().is_null(0) || nobody_asks) co_return Claim{};

  // Asked apart: the claim may be younger than the snapshot of the statement above.
  const OrderId holder{claims.front().uuid(0)};
  const auto orders = co_await database_.run(context, queries::status_of(holder));
  require(!orders.empty(), "who holds a reservation is stored with the claim");
  const auto status = parse_status(orders.front().text(0));
  require(status.has_value(), "a stored order has a known status");
  co_return Claim{.holder = Claim::Holder{.id = holder, .status = *status}};
}

Task<std::optional<Order>> PgOrderStore::find(Context context, OrderId id) {
  const auto rows = co_await database_.run(std::move(context), queries::find(id));
  if (rows.empty()) co_return std::nullopt;
  co_return queries::order_of(rows.front());
}

Task<OrderPage> PgOrderStore::list(Context context, ListOrders query) {
  if (!query.with_total) {
    const auto rows = co_await database_.run(std::move(context), queries::list(query));
    co_return read_page(rows, query.limit);
  }
  std::vector<postgres::Query> both{queries::list(query), queries::count(query)};
  const auto results = co_await database_.run_all(std::move(context), std::move(both));
  OrderPage page = read_page(results[0], query.limit);
  page.total = ListTotal::of(results[1].front().number(0));
  co_return page;
}

Task<std::vector<HistoryEntry>> PgOrderStore::history(Context context, OrderId id) {
  const auto rows = co_await database_.run(std::move(context), queries::history(id));
  std::vector<HistoryEntry> entries;
  for (const auto row : rows) {
    const auto status = parse_status(row.text(1));
    require(status.has_value(), "a stored order has a known status");
    entries.push_back({.type = std::string{row.text(0)},
                       .status = *status,
                       .version = row.number(2),
                       .reason = row.optional_text(3),
                       .at = row.instant(4)});
  }
  co_return entries;
}

Task<bool> PgOrderStore::store_cancelling(Context context, Order order, CancelReason reason,
                                          std::optional<IdempotencyKey> key, Answer answer) {
  const OrderId id = order.id;
  auto query = queries::store_cancelling({.order = std::move(order),
                                          .reason = reason,
                                          .key = std::move(key),
                                          .answer = std::move(answer),
                                          .traceparent = traceparent_of(context)},
                                         patience_);
  crash_point("order.cancel.before_commit");
  const auto rows = co_await database_.run(context, std::move(query));
  crash_point("order.cancel.after_commit");
  if (rows.empty()) co_return false;
  moved_[index_of(Status::cancelling)].add();
  telemetry_.info(context, "order_cancelling", {{"order_id", id.str()}, {"reason", name(reason)}});
  co_return true;
}

Task<std::vector<Effect>> PgOrderStore::apply(Context context, std::vector<PaymentFact> facts) {
  auto query = queries::apply(facts);
  crash_point("order.apply.before_commit");
  const auto rows = co_await database_.run(context, std::move(query));
  crash_point("order.apply.after_commit");

  std::map<Uuid, postgres::Row> by_event;
  for (const auto row : rows) by_event.emplace(row.uuid(0), row);
  std::vector<Effect> effects;
  for (const PaymentFact& fact : facts) {
    const auto found = by_event.find(fact.event);
    require(found != by_event.end(), "each fact comes back with its effect");
    effects.push_back(effect_of(context, fact, found->second));
  }
  co_return effects;
}

Effect PgOrderStore::effect_of(const Context& context, const PaymentFact& fact,
                               const postgres::Row& row) {
  if (!row.flag(1)) {
    telemetry_.error(context, "order_lost",
                     {{"order_id", fact.order.str()}, {"event_id", EventId{fact.event}.str()}});
    return Effect::lost_order;
  }
  if (row.is_null(2)) return Effect::unchanged;
  const auto status = parse_status(row.text(2));
  require(status.has_value(), "a stored order has a known status");
  moved_[index_of(*status)].add();
  telemetry_.info(context, "order_moved",
                  {{"order_id", fact.order.str()},
                   {"status_after", name(*status)},
                   {"event_id", EventId{fact.event}.str()}});
  return Effect::moved;
}

Task<std::vector<Overdue>> PgOrderStore::claim_overdue(Context context, std::size_t limit) {
  crash_point("order.sweep.before_claim");
  const auto rows =
      co_await database_.run(std::move(context), queries::claim_overdue(patience_, limit));
  crash_point("order.sweep.after_claim");
  if (runtime::mutant<"order.overdue_forgotten">()) co_return std::vector<Overdue>{};
  std::vector<Overdue> overdue;
  for (const auto row : rows) {
    const auto status = parse_status(row.text(2));
    require(status.has_value(), "a stored order has a known status");
    overdue.push_back({.id = {row.uuid(0)},
                       .customer = {row.uuid(1)},
                       .status = *status,
                       .version = row.number(3),
                       .reason = row.optional_text(4)});
    overdue_[index_of(*status)].add();
  }
  co_return overdue;
}

Task<> PgOrderStore::repeat_cancel_request(Context context, Overdue order) {
  auto query = queries::repeat_cancel_request(order, traceparent_of(context), patience_);
  crash_point("order.repeat_cancel.before_commit");
  const auto rows = co_await database_.run(context, std::move(query));
  crash_point("order.repeat_cancel.after_commit");
  if (rows.affected() > 0) {
    telemetry_.warn(context, "order_cancel_repeated", {{"order_id", order.id.str()}});
  }
}

}  // namespace stoa::order
