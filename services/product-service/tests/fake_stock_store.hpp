#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/product-service/tests/fake_shop.hpp"

namespace stoa::product {

/// Keeps the promises of the real store: stock_store_test runs one suite over both.
class FakeStockStore final : public StockStore {
 public:
  static constexpr std::chrono::seconds deadline{900};
  static constexpr std::chrono::seconds ask_again{10};

  struct Row {
    ReserveStock command;
    Reservation reservation{};
    ReservationState state = ReservationState::active;
    std::chrono::seconds check_at{};
  };

  explicit FakeStockStore(FakeShop& shop) : shop_{shop} {}

  std::map<ReservationId, Row> rows{};
  std::vector<VariantId> told_low{};
  std::set<Uuid> inbox{};

  Task<Result<Reserved>> reserve(Context, ReserveStock command) override {
    if (const auto known = rows.find(command.id); known != rows.end()) {
      co_return repeat(known->second, command);
    }
    const auto facts = facts_of(command);
    const auto speaks_against = [](const LineFacts& line) {
      return !line.known || !line.priced || !line.covered;
    };
    const std::int64_t open = open_of(command.buyer);
    if (open >= open_reservations_max || std::ranges::any_of(facts, speaks_against)) {
      co_return std::unexpected(why_refused(facts, open));
    }
    Row row{.command = command,
            .reservation = {.id = command.id, .expires_at = Instant{shop_.clock + deadline}},
            .check_at = shop_.clock + deadline};
    for (const WantedLine& line : command.lines) {
      row.reservation.lines.push_back(line_of(line, command.currency));
    }
    Reserved reserved{.reservation = row.reservation,
                      .stale = hold(command.lines, Direction::take)};
    rows.emplace(command.id, std::move(row));
    co_return reserved;
  }

  Task<StaleProducts> settle(Context, ReservationId id, Settlement settlement) override {
    const auto row = rows.find(id);
    if (row == rows.end()) co_return StaleProducts{};
    co_return move(row->second, settlement);
  }

  /// An order that was paid and cancelled within one batch ends: its units were never gone.
  Task<SettledBatch> settle_orders(Context, std::vector<SettledOrder> orders) override {
    SettledBatch batch;
    std::map<ReservationId, OrderOutcome> outcomes;
    for (const SettledOrder& order : orders) {
      batch.known.push_back(rows.contains(order.reservation));
      if (!batch.known.back() || !inbox.insert(order.event_id).second) continue;
      OrderOutcome& outcome = outcomes.try_emplace(order.reservation, order.outcome).first->second;
      if (order.outcome == OrderOutcome::ended) outcome = OrderOutcome::ended;
    }
    for (const auto& [id, outcome] : outcomes) {
      const auto stale = move(rows.at(id), settlement_of(outcome));
      batch.stale.insert(batch.stale.end(), stale.begin(), stale.end());
    }
    co_return batch;
  }

  Task<std::vector<OverdueReservation>> claim_overdue(Context) override {
    std::vector<OverdueReservation> overdue;
    for (auto& [id, row] : rows) {
      if (row.state != ReservationState::active || row.check_at > shop_.clock) continue;
      row.check_at = shop_.clock + ask_again;
      overdue.push_back({.id = id, .origin = row.command.origin});
    }
    co_return overdue;
  }

  Task<std::optional<StockLevel>> level(Context, VariantId id) override {
    const auto level = shop_.stock.find(id);
    if (level == shop_.stock.end()) co_return std::nullopt;
    co_return level->second;
  }

  Task<Result<Adjusted>> adjust(Context, AdjustStock command) override {
    const auto level = shop_.stock.find(command.variant);
    if (level == shop_.stock.end()) co_return no_such_variant();
    const StockLevel before = level->second;
    const auto after = adjusted(before, command.delta);
    if (!after) co_return std::unexpected(after.error());
    Adjusted outcome{.answer = command.render(*after)};
    if (!shop_.keep_key(command.key, *outcome.answer)) co_return Adjusted{};
    shop_.move_stock(command.variant, {.delta = command.delta,
                                       .kind = "adjustment",
                                       .reason = command.reason,
                                       .actor = command.actor});
    note(before, outcome.stale);
    co_return outcome;
  }

  Task<Result<MovementPage>> movements(Context, ListMovements query) override {
    if (!shop_.stock.contains(query.variant)) co_return no_such_variant();
    MovementPage page;
    const auto& journal = shop_.journal[query.variant];
    if (query.with_total) page.total = ListTotal::of(std::ssize(journal));
    const std::int64_t end = query.before.value_or(std::numeric_limits<std::int64_t>::max());
    for (const auto& movement : journal | std::views::reverse) {
      if (movement.number >= end) continue;
      if (std::ssize(page.movements) == query.limit) {
        page.next = page.movements.back().number;
        break;
      }
      page.movements.push_back(movement);
    }
    co_return page;
  }

  std::int64_t reserved_by_active(VariantId variant) const {
    std::int64_t sum = 0;
    for (const auto& [id, row] : rows) {
      if (row.state != ReservationState::active) continue;
      for (const WantedLine& line : row.command.lines) {
        if (line.variant == variant) sum += line.quantity;
      }
    }
    return sum;
  }

 private:
  enum class Direction : std::uint8_t { take, give_back };

  static std::unexpected<Error> no_such_variant() {
    return refuse(ErrorKind::not_found, "variant_not_found", "there is no such variant");
  }

  static Result<Reserved> repeat(const Row& row, const ReserveStock& command) {
    const bool same = row.command.currency == command.currency &&
                      same_lines(row.reservation.lines, command.lines);
    if (!same) return refuse(ErrorKind::invalid, "reservation_reused", "other lines");
    const bool ended =
        row.state == ReservationState::released || row.state == ReservationState::restocked;
    if (ended) return refuse(ErrorKind::conflict, "reservation_ended", "it has ended");
    return Reserved{.reservation = row.reservation};
  }

  const Product* on_sale(VariantId id) const {
    for (const auto& [product_id, product] : shop_.products) {
      const bool has = std::ranges::contains(product.variants, id, &Variant::id);
      if (has && product.status == Status::active) return &product;
    }
    return nullptr;
  }

  std::vector<LineFacts> facts_of(const ReserveStock& command) const {
    std::map<VariantId, std::int64_t> needed;
    for (const WantedLine& line : command.lines) needed[line.variant] += line.quantity;
    std::vector<LineFacts> facts;
    for (const WantedLine& line : command.lines) {
      const Product* product = on_sale(line.variant);
      const auto level = shop_.stock.find(line.variant);
      const std::int64_t available = level == shop_.stock.end() ? 0 : level->second.available();
      facts.push_back({.known = product != nullptr,
                       .priced = product != nullptr &&
                                 price_of(*product, line.variant, command.currency).has_value(),
                       .covered = available >= needed[line.variant],
                       .available = available});
    }
    return facts;
  }

  static const Variant& variant_of(const Product& product, VariantId id) {
    return *std::ranges::find(product.variants, id, &Variant::id);
  }

  static std::optional<Money> price_of(const Product& product, VariantId id, Currency currency) {
    for (const Money& price : variant_of(product, id).prices) {
      if (price.currency() == currency) return price;
    }
    return std::nullopt;
  }

  ReservedLine line_of(const WantedLine& line, Currency currency) const {
    const Product& product = *on_sale(line.variant);
    const Variant& variant = variant_of(product, line.variant);
    return {.variant = line.variant,
            .product = product.id,
            .sku = variant.sku,
            .name = variant.title.empty() ? product.name : product.name + " - " + variant.title,
            .quantity = line.quantity,
            .unit_price = *price_of(product, line.variant, currency)};
  }

  std::int64_t open_of(UserId buyer) const {
    return std::ranges::count_if(rows, [&](const auto& row) {
      return row.second.command.buyer == buyer && row.second.state == ReservationState::active;
    });
  }

  StaleProducts hold(const std::vector<WantedLine>& lines, Direction direction) {
    StaleProducts stale;
    std::map<VariantId, std::int64_t> units;
    for (const WantedLine& line : lines) units[line.variant] += line.quantity;
    for (const auto& [variant, quantity] : units) {
      const StockLevel before = shop_.stock.at(variant);
      shop_.stock.at(variant).reserved += direction == Direction::take ? quantity : -quantity;
      note(before, stale);
    }
    return stale;
  }

  StaleProducts move(Row& row, Settlement settlement) {
    const ReservationState before = row.state;
    row.state = settled(before, settlement);
    if (row.state == before) return {};
    StaleProducts stale;
    if (row.state == ReservationState::released) {
      stale = hold(row.command.lines, Direction::give_back);
    }
    for (const WantedLine& line : row.command.lines) {
      const StockLevel level = shop_.stock.at(line.variant);
      if (row.state == ReservationState::committed) {
        shop_.stock.at(line.variant).reserved -= line.quantity;
        shop_.move_stock(line.variant,
                         {.delta = -line.quantity, .kind = "sale", .reservation = row.command.id});
      }
      if (row.state == ReservationState::restocked) {
        shop_.move_stock(
            line.variant,
            {.delta = line.quantity, .kind = "restock", .reservation = row.command.id});
      }
      if (row.state != ReservationState::released) note(level, stale);
    }
    return stale;
  }

  /// Who shows this variant is told when it sells out or comes back; staff when it gets low.
  void note(const StockLevel& before, StaleProducts& stale) {
    constexpr std::int64_t low = 5;
    const StockLevel& after = shop_.stock.at(before.variant);
    if (before.available() > low && after.available() <= low) told_low.push_back(before.variant);
    if ((before.available() > 0) == (after.available() > 0)) return;
    for (const auto& [id, product] : shop_.products) {
      const bool has = std::ranges::contains(product.variants, before.variant, &Variant::id);
      if (has && !std::ranges::contains(stale, id)) stale.push_back(id);
    }
  }

  FakeShop& shop_;
};

}  // namespace stoa::product
