#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/unavailable.hpp"

#include "services/order-service/adapters/order_events.hpp"
#include "services/order-service/app/ports.hpp"

namespace stoa::order {

inline constexpr Instant noon{std::chrono::hours{12}};
inline constexpr Patience test_patience{.pending = std::chrono::seconds{600},
                                        .cancelling = std::chrono::seconds{30},
                                        .lease = std::chrono::seconds{5}};

/// Ids that differ in their number and in nothing else.
inline Uuid uuid(std::uint8_t number, std::uint8_t kind = 0) {
  Uuid id;
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  id.bytes[14] = kind;
  id.bytes[15] = number;
  return id;
}
inline OrderId order_id(std::uint8_t number) { return {uuid(number, 1)}; }
inline UserId user_id(std::uint8_t number) { return {uuid(number, 2)}; }
inline VariantId variant_id(std::uint8_t number) { return {uuid(number, 3)}; }
inline Origin origin_of(std::uint8_t number) { return {uuid(number, 4)}; }

inline Address some_address() {
  return {.name = "Ada Shopper",
          .line1 = "Main Street 1",
          .line2 = std::nullopt,
          .city = "Berlin",
          .region = std::nullopt,
          .postal_code = "10115",
          .country = "DE"};
}

struct FakeStock final : StockAndPrices {
  std::optional<Error> refusal;
  bool gone = false;
  std::vector<ReservationId> reserved;
  std::vector<ReservationId> released;
  Money unit_price{100, currencies::eur};

  Task<Result<std::vector<PricedLine>>> reserve(Context, Reserve command) override {
    if (gone) throw Unavailable{"product-service is gone"};
    reserved.push_back(command.id);
    if (refusal) co_return std::unexpected(*refusal);
    std::vector<PricedLine> lines;
    for (const WantedLine& line : command.lines) {
      lines.push_back({.variant = line.variant,
                       .sku = "SKU-7",
                       .name = "Teapot",
                       .quantity = line.quantity,
                       .unit_price = unit_price});
    }
    co_return lines;
  }

  Task<> release(Context, ReservationId id) override {
    released.push_back(id);
    co_return;
  }
};

struct FakePayments final : Payments {
  std::optional<PaymentState> state;  ///< empty: no answer
  std::optional<std::string> reason;

  Task<Known> state_of(Context, OrderId) override {
    if (!state) throw Unavailable{"payment-service is gone"};
    co_return Known{.state = *state, .reason = reason};
  }
};

struct FakePublisher final : Publisher {
  bool open = true;
  int woken = 0;

  bool accepting() const override { return open; }
  void wake() override { ++woken; }
};

/// An event as it would leave.
struct Told {
  std::string type;
  OrderId order;
  std::int64_t version = 0;

  friend bool operator==(const Told&, const Told&) = default;
};

/// Keeps the promises of the real store: order_store_test runs one suite over both.
class FakeStore final : public OrderStore {
 public:
  struct Row {
    Order order;
    std::optional<std::chrono::seconds> check_at{};
    std::size_t awaited = 0;  ///< number of the event in told
    bool relay_was_late = false;
    std::vector<HistoryEntry> history{};
  };

  std::chrono::seconds clock{0};
  std::map<Origin, std::pair<std::string, Answer>> keys;
  std::map<ReservationId, std::pair<Origin, std::optional<OrderId>>> claims;
  std::map<OrderId, Row> rows;
  std::map<Uuid, bool> inbox;
  std::vector<Told> told;
  std::deque<std::pair<std::size_t, std::chrono::seconds>> outbox;  ///< number, since when
  std::int64_t next_number = 100'001;

  void publish() { outbox.clear(); }

  Task<Result<KeyState>> look_up(Context, IdempotencyKey key) override {
    KeyState state;
    for (const auto& [id, claim] : claims) state.generation += claim.first == key.origin ? 1 : 0;
    auto answer = stored(key);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    state.answered = std::move(*answer);
    if (!state.answered) state.number = {next_number++};
    co_return state;
  }

  Task<Result<std::optional<Answer>>> first_answer(Context, IdempotencyKey key) override {
    auto answer = stored(key);
    co_return answer;
  }

  Task<bool> insert_if_first(Context, NewOrder placed) override {
    const OrderId id = placed.order.id;
    if (!claims.emplace(placed.order.reservation, std::pair{placed.key.origin, id}).second) {
      co_return false;
    }
    keys.insert_or_assign(placed.key.origin,
                          std::pair{placed.key.fingerprint, std::move(placed.answer)});
    Row& row = rows.emplace(id, Row{.order = std::move(placed.order)}).first->second;
    wait_for(row, "order.placed", test_patience.pending);
    note(row, "order.placed");
    co_return true;
  }

  Task<Claim> abandon(Context, ReservationId id, Origin origin) override {
    const auto claim = claims.try_emplace(id, origin, std::nullopt).first->second;
    if (!claim.second) co_return Claim{};
    co_return Claim{.holder = Claim::Holder{.id = *claim.second,
                                            .status = rows.at(*claim.second).order.status}};
  }

  Task<std::optional<Order>> find(Context, OrderId id) override {
    const auto row = rows.find(id);
    if (row == rows.end()) co_return std::nullopt;
    co_return row->second.order;
  }

  Task<OrderPage> list(Context, ListOrders query) override {
    std::vector<Order> all;
    std::int64_t count = 0;
    for (const auto& [id, row] : rows) {
      const bool wanted =
          query.statuses.empty() || std::ranges::contains(query.statuses, row.order.status);
      const bool own = !query.customer || row.order.customer == *query.customer;
      const bool later =
          !query.after || (query.oldest_first ? id > *query.after : id < *query.after);
      if (wanted && own) ++count;
      if (wanted && own && later) all.push_back(row.order);
    }
    if (!query.oldest_first) std::ranges::reverse(all);
    OrderPage page{.orders = std::move(all), .has_more = false};
    if (query.with_total) page.total = ListTotal::of(count);
    page.has_more = page.orders.size() > query.limit;
    if (page.has_more)
      page.orders.erase(page.orders.begin() + static_cast<std::ptrdiff_t>(query.limit),
                        page.orders.end());
    co_return page;
  }

  Task<std::vector<HistoryEntry>> history(Context, OrderId id) override {
    const auto row = rows.find(id);
    if (row == rows.end()) co_return std::vector<HistoryEntry>{};
    co_return row->second.history;
  }

  Task<bool> store_cancelling(Context, Order order, CancelReason reason,
                              std::optional<IdempotencyKey> key, Answer answer) override {
    Row& row = rows.at(order.id);
    if (row.order.version != order.version - 1) co_return false;
    row.order.status = Status::cancelling;
    row.order.version = order.version;
    row.order.reason = std::string{name(reason)};
    row.relay_was_late = false;
    wait_for(row, "order.cancel_requested", test_patience.cancelling);
    note(row, "order.cancel_requested");
    if (key) keys.insert_or_assign(key->origin, std::pair{key->fingerprint, std::move(answer)});
    co_return true;
  }

  Task<std::vector<Effect>> apply(Context, std::vector<PaymentFact> facts) override {
    std::vector<Effect> effects;
    for (const PaymentFact& fact : facts) effects.push_back(apply_one(fact));
    co_return effects;
  }

  Task<std::vector<Overdue>> claim_overdue(Context, std::size_t limit) override {
    const bool relay_late =
        !outbox.empty() && outbox.front().second < clock - std::chrono::seconds{2};
    std::vector<Row*> due;
    for (auto& [id, row] : rows) {
      if (row.check_at && *row.check_at <= clock) due.push_back(&row);
    }
    std::ranges::sort(due, {}, [](const Row* row) { return *row->check_at; });
    if (due.size() > limit) due.resize(limit);
    std::vector<Overdue> overdue;
    for (Row* row : due) {
      const bool untold = relay_late || std::ranges::any_of(outbox, [&](const auto& event) {
                            return event.first == row->awaited;
                          });
      const bool was_late = std::exchange(row->relay_was_late, untold);
      const bool pending = row->order.status == Status::pending;
      if (untold || was_late) {
        row->check_at = clock + (pending ? test_patience.pending : test_patience.cancelling);
        continue;
      }
      row->check_at = clock + test_patience.lease;
      overdue.push_back({.id = row->order.id,
                         .customer = row->order.customer,
                         .status = row->order.status,
                         .version = row->order.version,
                         .reason = row->order.reason});
    }
    co_return overdue;
  }

  Task<> repeat_cancel_request(Context, Overdue order) override {
    Row& row = rows.at(order.id);
    if (row.order.version == order.version && row.order.status == Status::cancelling) {
      wait_for(row, "order.cancel_requested", test_patience.cancelling);
    }
    co_return;
  }

 private:
  Result<std::optional<Answer>> stored(const IdempotencyKey& key) const {
    const auto row = keys.find(key.origin);
    if (row == keys.end()) return std::nullopt;
    if (row->second.first != key.fingerprint) {
      return refuse(ErrorKind::invalid, "idempotency_key_reused", "another request");
    }
    Answer answer = row->second.second;
    answer.replayed = true;
    return answer;
  }

  std::size_t tell(const Row& row, std::string_view type) {
    told.push_back({std::string{type}, row.order.id, row.order.version});
    outbox.emplace_back(told.size(), clock);
    return told.size();
  }

  void wait_for(Row& row, std::string_view type, std::chrono::seconds patience) {
    row.awaited = tell(row, type);
    row.check_at = clock + patience;
  }

  static void note(Row& row, std::string_view type) {
    row.history.push_back({.type = std::string{type},
                           .status = row.order.status,
                           .version = row.order.version,
                           .reason = row.order.reason,
                           .at = noon});
  }

  Effect apply_one(const PaymentFact& fact) {
    const auto found = rows.find(fact.order);
    const bool first = inbox.emplace(fact.event, true).second;
    if (found == rows.end()) {
      if (first && holds_money(fact.result)) {
        told.push_back({"order.cancel_requested", fact.order, 1});
      }
      return Effect::lost_order;
    }
    if (!first) return Effect::unchanged;
    Row& row = found->second;
    const auto next = after(row.order.status, fact.result);
    if (!next) return Effect::unchanged;
    row.order.status = *next;
    row.order.version += 1;
    if (*next == Status::payment_failed) row.order.reason = fact.reason;
    row.check_at.reset();
    tell(row, event_type(*next));
    note(row, event_type(*next));
    return Effect::moved;
  }
};

}  // namespace stoa::order
