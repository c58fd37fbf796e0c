#include "tests/simulation/payment_database.hpp"

#include <algorithm>

namespace stoa::simulation {
namespace {

using payment::AttemptStatus;
using payment::Payment;
using payment::PaymentStatus;
using payment::RefundStatus;

EventType event_of(payment::Happening::Kind kind) {
  switch (kind) {
    case payment::Happening::Kind::captured:
      return EventType::payment_captured;
    case payment::Happening::Kind::declined:
      return EventType::payment_declined;
    case payment::Happening::Kind::voided:
      return EventType::payment_voided;
    case payment::Happening::Kind::refunded:
      return EventType::payment_refunded;
  }
  std::unreachable();
}

AttemptStatus ended_as(payment::ChargeOutcome::Kind kind) {
  switch (kind) {
    case payment::ChargeOutcome::Kind::captured:
      return AttemptStatus::captured;
    case payment::ChargeOutcome::Kind::declined:
      return AttemptStatus::declined;
    case payment::ChargeOutcome::Kind::voided:
      return AttemptStatus::voided;
  }
  std::unreachable();
}

}  // namespace

std::vector<AttemptId> PaymentDatabase::open(const std::vector<payment::PlacedOrder>& orders,
                                             std::size_t leased_max, milliseconds lease) {
  std::vector<AttemptId> leased;
  std::size_t position = 0;
  for (const payment::PlacedOrder& order : orders) {
    ++position;
    if (!claim(Queue::order_placed, order.event)) continue;
    if (payments_.contains(order.order)) continue;
    effect(Queue::order_placed, order.event);
    payments_.emplace(order.order, Payment{.id = order.payment,
                                           .order = order.order,
                                           .customer = order.customer,
                                           .amount = order.amount,
                                           .version = 1});
    orders_.emplace(order.payment, order.order);
    const bool take = position <= leased_max;
    attempts_.emplace(order.attempt, AttemptRow{.charge = {.attempt = order.attempt,
                                                           .payment = order.payment,
                                                           .order = order.order,
                                                           .customer = order.customer,
                                                           .amount = order.amount,
                                                           .token = order.token,
                                                           .traceparent = ""},
                                                .due_at = take ? clock() + lease : clock()});
    if (take) leased.push_back(order.attempt);
  }
  return leased;
}

std::vector<payment::Charge> PaymentDatabase::claim_charges(std::size_t count_max,
                                                            milliseconds lease) {
  std::vector<payment::Charge> claimed;
  for (auto& [id, row] : attempts_) {
    if (claimed.size() == count_max) break;
    if (!payment::open(row.status) || row.due_at > clock()) continue;
    const bool forgotten = row.status == AttemptStatus::started;
    if (forgotten && room_.has(Defect::started_attempt_forgotten)) continue;
    row.due_at = clock() + lease;
    row.charge.sent_before = true;
    row.charge.closed = payments_.at(row.charge.order).closed;
    claimed.push_back(row.charge);
  }
  return claimed;
}

void PaymentDatabase::postpone_charge(const payment::ChargeResult& result) {
  AttemptRow& row = attempts_.at(result.charge.attempt);
  if (!payment::open(row.status)) return;
  row.status = AttemptStatus::unknown;
  ++row.charge.tries;
  row.due_at = clock() + result.retry_in;
}

bool PaymentDatabase::record_charge(const payment::ChargeResult& result) {
  AttemptRow& row = attempts_.at(result.charge.attempt);
  if (!payment::open(row.status)) return false;
  row.status = ended_as(result.outcome->kind);
  const Payment& before = payments_.at(result.charge.order);
  // The defect: the order is cancelled anyway, so its end is told as if nothing had been captured.
  const bool kept = before.closed && room_.has(Defect::late_capture_kept);
  const payment::ChargeOutcome outcome =
      kept ? payment::ChargeOutcome{.kind = payment::ChargeOutcome::Kind::voided} : *result.outcome;
  const payment::Change change = settle_charge(before, outcome);
  store(change, result.charge.attempt.uuid);
  return change.closing_refund.has_value();
}

bool PaymentDatabase::close_order(const payment::Cancellation& cancellation) {
  if (!claim(Queue::cancel_requested, cancellation.event)) return false;
  effect(Queue::cancel_requested, cancellation.event);
  if (!payments_.contains(cancellation.order)) {
    const Payment spare{.id = cancellation.spare_payment,
                        .order = cancellation.order,
                        .customer = cancellation.customer,
                        .status = PaymentStatus::voided};
    if (room_.has(Defect::early_cancel_forgotten)) {
      for (const auto& happening : close(spare).happenings) tell_of(spare, happening);
      return false;
    }
    payments_.emplace(cancellation.order, spare);
    orders_.emplace(cancellation.spare_payment, cancellation.order);
  }
  const payment::Change change = close(payments_.at(cancellation.order));
  store(change, cancellation.event);
  for (auto& [id, attempt] : attempts_) {
    const bool waits = attempt.status == AttemptStatus::unknown;
    if (waits && attempt.charge.order == cancellation.order) attempt.due_at = clock();
  }
  return change.closing_refund.has_value();
}

Result<payment::Answer> PaymentDatabase::request_refund(const payment::RefundRequest& request,
                                                        const payment::RequestKey& key,
                                                        const payment::Answer& answer) {
  if (const auto known = keys_.find(key.origin); known != keys_.end()) {
    if (known->second.first != key.fingerprint) {
      return refuse(ErrorKind::invalid, "idempotency_key_reused", "another request");
    }
    payment::Answer first = known->second.second;
    first.replayed = true;
    return first;
  }
  if (!orders_.contains(request.payment)) {
    return refuse(ErrorKind::not_found, "payment_not_found", "there is no such payment");
  }
  Payment& payment = by_id(request.payment);
  auto change = payment::request_refund(payment, request.amount);
  const bool over = !change && change.error().code == "refund_exceeds_captured";
  if (over && room_.has(Defect::refund_without_cap)) {
    change = payment::Change{.payment = payment};
    change->payment.pending_minor += request.amount.minor_units();
  }
  if (!change) return std::unexpected(change.error());
  store(*change, request.id.uuid);
  keys_.emplace(key.origin, std::pair{key.fingerprint, answer});
  refunds_.emplace(
      request.id,
      RefundRow{.refund = {.id = request.id, .payment = request.payment, .amount = request.amount},
                .due_at = clock()});
  return answer;
}

std::vector<payment::RefundCall> PaymentDatabase::claim_refunds(std::size_t count_max,
                                                                milliseconds lease) {
  std::vector<payment::RefundCall> claimed;
  for (auto& [id, row] : refunds_) {
    if (claimed.size() == count_max) break;
    const bool due = payment::open(row.refund.status) && row.due_at <= clock();
    if (due) claimed.push_back(take(row, lease));
  }
  return claimed;
}

payment::RefundCall PaymentDatabase::take(RefundRow& row, milliseconds lease) {
  row.due_at = clock() + lease;
  const int before = row.claims++;
  return {.refund = row.refund,
          .order = orders_.at(row.refund.payment),
          .provider_payment = "",
          .traceparent = "",
          .sent_before = before > 0,
          .tries = before};
}

bool PaymentDatabase::record_refund(const payment::RefundCall& call,
                                    const payment::RefundOutcome& outcome) {
  RefundRow& row = refunds_.at(call.refund.id);
  if (!payment::open(row.refund.status)) return false;
  const payment::Change change = settle_refund(by_id(call.refund.payment), row.refund, outcome);
  const bool succeeded = outcome.kind == payment::RefundOutcome::Kind::succeeded;
  row.refund.status = succeeded ? RefundStatus::succeeded : RefundStatus::failed;
  store(change, call.refund.id.uuid);
  return change.closing_refund.has_value();
}

void PaymentDatabase::postpone_refund(RefundId id, milliseconds retry_in) {
  RefundRow& row = refunds_.at(id);
  if (!payment::open(row.refund.status)) return;
  row.refund.status = RefundStatus::unknown;
  row.due_at = clock() + retry_in;
}

std::optional<Payment> PaymentDatabase::payment_of(OrderId order) const {
  const auto found = payments_.find(order);
  if (found == payments_.end()) return std::nullopt;
  return found->second;
}

bool PaymentDatabase::store_provider_event(const payment::ProviderEvent& event) {
  if (!provider_events_.insert(event.id).second) return false;
  open_provider_events_.push_back(event.key);
  return true;
}

std::size_t PaymentDatabase::act_on_provider_events() {
  const auto keys = std::exchange(open_provider_events_, {});
  for (const std::string& key : keys) {
    const auto attempt = AttemptId::parse(key);
    if (attempt && attempts_.contains(*attempt)) attempts_.at(*attempt).due_at = clock();
    const auto refund = RefundId::parse(key);
    if (refund && refunds_.contains(*refund)) refunds_.at(*refund).due_at = clock();
  }
  return keys.size();
}

void PaymentDatabase::store(const payment::Change& change, const Uuid& transaction) {
  Payment& payment = payments_.at(change.payment.order);
  payment = change.payment;
  ++payment.version;
  for (const payment::Entry& entry : change.entries) {
    ledger_.push_back({.transaction = transaction, .entry = entry});
  }
  for (const payment::Happening& happening : change.happenings) tell_of(payment, happening);
  if (!change.closing_refund) return;
  const RefundId id{room_.chance().uuid()};
  refunds_.emplace(id, RefundRow{.refund = {.id = id,
                                            .payment = payment.id,
                                            .amount = change.closing_refund->amount,
                                            .closing = true},
                                 .due_at = clock() + change.closing_refund->after});
}

void PaymentDatabase::tell_of(const Payment& payment, const payment::Happening& happening) {
  tell({.id = room_.chance().uuid(),
        .type = event_of(happening.kind),
        .order = payment.order,
        .customer = payment.customer,
        .reason = happening.reason,
        .closes_order = happening.closes_order});
}

}  // namespace stoa::simulation
