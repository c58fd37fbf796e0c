#include "tests/simulation/order_database.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/core/require.hpp"

namespace stoa::simulation {
namespace {

using order::PaymentResult;
using order::Status;

constexpr milliseconds relay_late{2'000};

EventType event_of(Status status) {
  switch (status) {
    case Status::pending:
      return EventType::order_placed;
    case Status::paid:
      return EventType::order_paid;
    case Status::payment_failed:
      return EventType::order_payment_failed;
    case Status::cancelling:
      return EventType::order_cancel_requested;
    case Status::cancelled:
      return EventType::order_cancelled;
  }
  std::unreachable();
}

}  // namespace

Result<std::optional<order::Answer>> OrderDatabase::first_answer(
    const order::IdempotencyKey& key) const {
  const auto known = keys_.find(key.origin);
  if (known == keys_.end()) return std::nullopt;
  if (known->second.first != key.fingerprint) {
    return refuse(ErrorKind::invalid, "idempotency_key_reused", "another request");
  }
  return known->second.second;
}

Result<order::KeyState> OrderDatabase::look_up(const order::IdempotencyKey& key) {
  auto answered = first_answer(key);
  if (!answered) return std::unexpected(std::move(answered.error()));
  order::KeyState state{.answered = std::move(*answered)};
  for (const auto& [id, claim] : claims_) state.generation += claim.origin == key.origin ? 1 : 0;
  if (!state.answered) state.number = {++numbers_};
  return state;
}

bool OrderDatabase::insert_if_first(order::NewOrder placed) {
  const OrderId id = placed.order.id;
  const ReservationId reservation = placed.order.reservation;
  const Claim claim{.origin = placed.key.origin, .order = id};
  if (room_.has(Defect::tombstone_ignored)) {
    const auto standing = claims_.find(reservation);
    if (standing != claims_.end() && standing->second.order) return false;
    claims_.insert_or_assign(reservation, claim);
  } else if (!claims_.emplace(reservation, claim).second) {
    return false;
  }
  if (!room_.has(Defect::key_outside_transaction)) store_key(placed.key, placed.answer);
  Row& row = rows_.emplace(id, Row{.order = std::move(placed.order)}).first->second;
  row.awaited_event = tell_of(row, EventType::order_placed, std::move(placed.payment_token));
  row.check_at = clock() + order_patience.pending;
  return true;
}

void OrderDatabase::store_key(const order::IdempotencyKey& key, order::Answer answer) {
  keys_.insert_or_assign(key.origin, std::pair{key.fingerprint, std::move(answer)});
}

order::Claim OrderDatabase::abandon(ReservationId id, order::Origin origin) {
  const auto& claim = claims_.try_emplace(id, Claim{.origin = origin, .order = {}}).first->second;
  if (!claim.order) return {};
  const Status status = rows_.at(*claim.order).order.status;
  return {.holder = order::Claim::Holder{.id = *claim.order, .status = status}};
}

std::optional<order::Order> OrderDatabase::find(OrderId id) const {
  const auto row = rows_.find(id);
  if (row == rows_.end()) return std::nullopt;
  return row->second.order;
}

bool OrderDatabase::store_cancelling(const order::Order& order,
                                     const std::optional<order::IdempotencyKey>& key,
                                     order::Answer answer) {
  Row& row = rows_.at(order.id);
  if (row.order.version != order.version - 1) return false;
  row.order.status = Status::cancelling;
  row.order.version = order.version;
  row.order.reason = order.reason;
  row.relay_was_late = false;
  row.awaited_event = tell_of(row, EventType::order_cancel_requested);
  row.check_at = clock() + order_patience.cancelling;
  if (key) store_key(*key, std::move(answer));
  return true;
}

std::vector<order::Effect> OrderDatabase::apply(const std::vector<order::PaymentFact>& facts) {
  std::vector<order::Effect> effects;
  effects.reserve(facts.size());
  for (const order::PaymentFact& fact : facts) effects.push_back(apply_one(fact));
  return effects;
}

std::optional<Status> OrderDatabase::next_status(Status status, PaymentResult result) {
  if (!room_.has(Defect::transition_without_guard)) return order::after(status, result);
  for (const order::PaymentTransition& rule : order::payment_transitions) {
    if (rule.result == result && rule.to != status) return rule.to;
  }
  return std::nullopt;
}

order::Effect OrderDatabase::apply_one(const order::PaymentFact& fact) {
  const auto found = rows_.find(fact.order);
  if (found == rows_.end()) return order::Effect::lost_order;
  if (!claim(Queue::payment_results, fact.event)) return order::Effect::unchanged;
  Row& row = found->second;
  const auto next = next_status(row.order.status, fact.result);
  if (!next) return order::Effect::unchanged;
  effect(Queue::payment_results, fact.event);
  row.order.status = *next;
  row.order.version += 1;
  if (*next == Status::payment_failed) row.order.reason = fact.reason;
  row.check_at.reset();
  tell_of(row, event_of(*next));
  return order::Effect::moved;
}

std::vector<order::Overdue> OrderDatabase::claim_overdue(std::size_t limit) {
  const auto& outbox_rows = outbox().rows();
  const bool late = !outbox_rows.empty() && outbox_rows.front().since < clock() - relay_late;
  std::vector<Row*> due;
  for (auto& [id, row] : rows_) {
    if (row.check_at && *row.check_at <= clock()) due.push_back(&row);
  }
  std::ranges::sort(due, {}, [](const Row* row) { return *row->check_at; });
  if (due.size() > limit) due.resize(limit);
  std::vector<order::Overdue> overdue;
  for (Row* row : due) {
    const bool untold = late || outbox().holds(row->awaited_event);
    const bool was_late = std::exchange(row->relay_was_late, untold);
    const bool pending = row->order.status == Status::pending;
    if (untold || was_late) {
      row->check_at = clock() + (pending ? order_patience.pending : order_patience.cancelling);
      continue;
    }
    row->check_at = clock() + order_patience.lease;
    overdue.push_back({.id = row->order.id,
                       .customer = row->order.customer,
                       .status = row->order.status,
                       .version = row->order.version,
                       .reason = row->order.reason});
  }
  return overdue;
}

void OrderDatabase::repeat_cancel_request(const order::Overdue& order) {
  Row& row = rows_.at(order.id);
  if (row.order.version != order.version || row.order.status != Status::cancelling) return;
  row.awaited_event = tell_of(row, EventType::order_cancel_requested);
  row.check_at = clock() + order_patience.cancelling;
}

Uuid OrderDatabase::tell_of(const Row& row, EventType type, std::string token) {
  const Uuid id = room_.chance().uuid();
  tell({.id = id,
        .type = type,
        .order = row.order.id,
        .customer = row.order.customer,
        .amount = row.order.amounts.total,
        .token = std::move(token),
        .reservation = row.order.reservation,
        .reason = row.order.reason.value_or("")});
  return id;
}

}  // namespace stoa::simulation
