#include "tests/simulation/stock_database.hpp"

#include <algorithm>
#include <utility>

namespace stoa::simulation {
namespace {

using product::ReservationState;
using product::Settlement;

constexpr std::uint64_t scarce_max = 12;
constexpr std::int64_t price_min_minor = 100;

bool speaks_against(const product::LineFacts& line) {
  return !line.known || !line.priced || !line.covered;
}

}  // namespace

StockDatabase::StockDatabase(Room& room) : Database{room} {
  for (std::size_t i = 0; i < variant_count; ++i) {
    const VariantId id{room.chance().uuid()};
    const auto units = static_cast<std::int64_t>(
        3 + room.chance().below(Stream::clients, scarce_max + i * scarce_max));
    const auto price =
        price_min_minor + static_cast<std::int64_t>(room.chance().below(Stream::clients, 10'000));
    shelves_.emplace(id, Shelf{.level = {.variant = id, .on_hand = units},
                               .price = Money{price, currencies::eur},
                               .delivered = units});
  }
}

std::vector<VariantId> StockDatabase::variants() const {
  std::vector<VariantId> ids;
  ids.reserve(shelves_.size());
  for (const auto& [id, shelf] : shelves_) ids.push_back(id);
  return ids;
}

StockDatabase::Facts StockDatabase::facts_of(const product::ReserveStock& command) const {
  Facts facts;
  std::map<VariantId, std::int64_t> needed;
  for (const product::WantedLine& line : command.lines) needed[line.variant] += line.quantity;
  for (const product::WantedLine& line : command.lines) {
    const std::int64_t available = shelves_.at(line.variant).level.available();
    facts.lines.push_back({.known = true,
                           .priced = true,
                           .covered = available >= needed[line.variant],
                           .available = available});
  }
  facts.open_reservations = std::ranges::count_if(rows_, [&](const auto& row) {
    return row.second.command.buyer == command.buyer &&
           row.second.state == ReservationState::active;
  });
  return facts;
}

Result<product::Reserved> StockDatabase::reserve(const product::ReserveStock& command,
                                                 const Facts& facts) {
  if (const auto known = rows_.find(command.id); known != rows_.end()) {
    return repeat(known->second, command);
  }
  const bool full = facts.open_reservations >= product::open_reservations_max;
  if (full || std::ranges::any_of(facts.lines, speaks_against)) {
    return std::unexpected(why_refused(facts.lines, facts.open_reservations));
  }
  Row row{.command = command,
          .reservation = {.id = command.id},
          .check_at = clock() + reservation_deadline};
  for (const product::WantedLine& line : command.lines) {
    Shelf& shelf = shelves_.at(line.variant);
    shelf.level.reserved += line.quantity;
    row.reservation.lines.push_back(
        {.variant = line.variant, .quantity = line.quantity, .unit_price = shelf.price});
  }
  product::Reserved reserved{.reservation = row.reservation};
  rows_.emplace(command.id, std::move(row));
  return reserved;
}

Result<product::Reserved> StockDatabase::repeat(const Row& row,
                                                const product::ReserveStock& command) {
  if (!product::same_lines(row.reservation.lines, command.lines)) {
    return refuse(ErrorKind::invalid, "reservation_reused", "this id reserved something else");
  }
  if (row.state == ReservationState::released || row.state == ReservationState::restocked) {
    return refuse(ErrorKind::conflict, "reservation_ended", "the reservation has ended");
  }
  return product::Reserved{.reservation = row.reservation};
}

ReservationState StockDatabase::after(const Row& row, Settlement settlement) const {
  if (!room_.has(Defect::settlement_without_guard)) return product::settled(row.state, settlement);
  if (settlement == Settlement::commit) return ReservationState::committed;
  const bool gone = row.state == ReservationState::committed;
  return gone ? ReservationState::restocked : ReservationState::released;
}

// What the move does to the shelves, with its journal: active holds units, committed has taken
// them away.
bool StockDatabase::move(Row& row, Settlement settlement) {
  const ReservationState before = row.state;
  row.state = after(row, settlement);
  const bool unguarded = room_.has(Defect::settlement_without_guard);
  if (row.state == before && !unguarded) return false;
  for (const product::WantedLine& line : row.command.lines) {
    Shelf& shelf = shelves_.at(line.variant);
    if (before == ReservationState::active) shelf.level.reserved -= line.quantity;
    std::int64_t delta = 0;
    if (row.state == ReservationState::committed) delta = -line.quantity;
    if (row.state == ReservationState::restocked) delta = line.quantity;
    shelf.level.on_hand += delta;
    shelf.journal += delta;
  }
  return true;
}

void StockDatabase::settle(ReservationId id, Settlement settlement) {
  const auto row = rows_.find(id);
  if (row != rows_.end()) move(row->second, settlement);
}

product::SettledBatch StockDatabase::settle_orders(
    const std::vector<product::SettledOrder>& orders) {
  product::SettledBatch batch;
  struct Wanted {
    Uuid event;
    product::OrderOutcome outcome;
  };
  std::map<ReservationId, Wanted> wanted;
  for (const product::SettledOrder& order : orders) {
    batch.known.push_back(rows_.contains(order.reservation));
    if (!batch.known.back() || !claim(Queue::order_settled, order.event_id)) continue;
    const Wanted first{.event = order.event_id, .outcome = order.outcome};
    Wanted& each = wanted.try_emplace(order.reservation, first).first->second;
    if (order.outcome == product::OrderOutcome::ended) each = first;
  }
  for (const auto& [id, each] : wanted) {
    const bool moved = move(rows_.at(id), product::settlement_of(each.outcome));
    if (moved) effect(Queue::order_settled, each.event);
  }
  return batch;
}

std::vector<product::OverdueReservation> StockDatabase::claim_overdue() {
  std::vector<product::OverdueReservation> overdue;
  for (auto& [id, row] : rows_) {
    if (row.state != ReservationState::active || row.check_at > clock()) continue;
    row.check_at = clock() + ask_again;
    overdue.push_back({.id = id, .origin = row.command.origin});
  }
  return overdue;
}

}  // namespace stoa::simulation
