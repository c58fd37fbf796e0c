#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/payment-service/app/ports.hpp"

namespace stoa::payment {

/// Payments in memory, by the same rules of domain/; passes the suite of attempt_store_test.cpp and
/// refund_store_test.cpp. Time stands still until `now` is moved.
class FakePaymentStore final : public PaymentStore {
 public:
  struct AttemptRow {
    Charge charge;
    AttemptStatus status = AttemptStatus::started;
    std::chrono::milliseconds due_at{0};
  };
  struct RefundRow {
    Refund refund;
    std::string reason;
    std::string failure;
    std::string traceparent;
    std::chrono::milliseconds due_at{0};
    int claims = 0;
  };

  std::chrono::milliseconds now{0};
  std::map<OrderId, Payment> payments;
  std::map<AttemptId, AttemptRow> attempts;
  std::map<RefundId, RefundRow> refund_rows;
  std::vector<std::pair<OrderId, Happening>> told;
  std::vector<std::pair<Uuid, Entry>> ledger;
  std::map<PaymentId, std::string> provider_payments;

  Task<std::vector<AttemptId>> open(Context, std::vector<PlacedOrder> orders,
                                    std::size_t leased_max,
                                    std::chrono::milliseconds lease) override {
    std::vector<AttemptId> leased;
    std::size_t position = 0;
    for (PlacedOrder& order : orders) {
      ++position;
      if (!inbox_.insert(order.event).second) continue;
      if (payments.contains(order.order)) continue;
      payments.emplace(order.order, Payment{.id = order.payment,
                                            .order = order.order,
                                            .customer = order.customer,
                                            .amount = order.amount,
                                            .version = 1});
      const bool take = position <= leased_max;
      attempts.emplace(order.attempt, AttemptRow{.charge = {.attempt = order.attempt,
                                                            .payment = order.payment,
                                                            .order = order.order,
                                                            .customer = order.customer,
                                                            .amount = order.amount,
                                                            .token = order.token,
                                                            .traceparent = order.traceparent},
                                                 .due_at = take ? now + lease : now});
      if (take) leased.push_back(order.attempt);
    }
    co_return leased;
  }

  Task<std::vector<Charge>> claim_charges(Context, std::size_t count_max,
                                          std::chrono::milliseconds lease) override {
    std::vector<Charge> claimed;
    for (auto& [id, row] : attempts) {
      if (claimed.size() == count_max) break;
      if (!payment::open(row.status) || row.due_at > now) continue;
      row.due_at = now + lease;
      row.charge.sent_before = true;
      row.charge.closed = payments.at(row.charge.order).closed;
      claimed.push_back(row.charge);
    }
    co_return claimed;
  }

  Task<bool> record_charges(Context, std::vector<ChargeResult> results) override {
    bool follows = false;
    for (ChargeResult& result : results) {
      AttemptRow& row = attempts.at(result.charge.attempt);
      if (!payment::open(row.status)) continue;
      if (!result.outcome) {
        row.status = AttemptStatus::unknown;
        ++row.charge.tries;
        row.due_at = now + result.retry_in;
        continue;
      }
      Payment& payment = payments.at(result.charge.order);
      provider_payments[payment.id] = result.outcome->provider_payment;
      const Change change = settle_charge(payment, *result.outcome);
      row.status = *parse_attempt_status(name(change.payment.status));
      follows = follows || change.closing_refund.has_value();
      apply(change, result.charge.attempt.uuid);
    }
    co_return follows;
  }

  Task<bool> close_order(Context, Cancellation cancellation) override {
    if (!inbox_.insert(cancellation.event).second) co_return false;
    const auto [row, fresh] =
        payments.try_emplace(cancellation.order, Payment{.id = cancellation.spare_payment,
                                                         .order = cancellation.order,
                                                         .customer = cancellation.customer,
                                                         .status = PaymentStatus::voided});
    const Change change = close(row->second);
    apply(change, cancellation.event);
    for (auto& [id, attempt] : attempts) {
      const bool waits = attempt.status == AttemptStatus::unknown;
      if (attempt.charge.order == cancellation.order && waits) attempt.due_at = now;
    }
    co_return change.closing_refund.has_value();
  }

  Task<Result<Answer>> request_refund(Context, RefundRequest request, RequestKey key,
                                      Answer answer) override {
    if (const auto known = keys_.find(key.origin); known != keys_.end()) {
      if (known->second.first != key.fingerprint) {
        co_return refuse(ErrorKind::invalid, "idempotency_key_reused", "another request");
      }
      Answer before = known->second.second;
      before.replayed = true;
      co_return before;
    }
    Payment* payment = by_id(request.payment);
    if (payment == nullptr) {
      co_return refuse(ErrorKind::not_found, "payment_not_found", "there is no such payment");
    }
    const auto change = payment::request_refund(*payment, request.amount);
    if (!change) co_return std::unexpected(change.error());
    apply(*change, request.id.uuid);
    keys_.emplace(key.origin, std::pair{key.fingerprint, answer});
    refund_rows.emplace(request.id, RefundRow{.refund = {.id = request.id,
                                                         .payment = request.payment,
                                                         .amount = request.amount},
                                              .reason = request.reason,
                                              .failure = "",
                                              .traceparent = request.traceparent,
                                              .due_at = now});
    co_return answer;
  }

  Task<std::vector<RefundCall>> claim_refunds(Context, std::size_t count_max,
                                              std::chrono::milliseconds lease) override {
    std::vector<RefundCall> claimed;
    for (auto& [id, row] : refund_rows) {
      if (claimed.size() == count_max) break;
      if (payment::open(row.refund.status) && row.due_at <= now)
        claimed.push_back(take(row, lease));
    }
    co_return claimed;
  }

  Task<std::optional<RefundCall>> claim_refund(Context, RefundId id,
                                               std::chrono::milliseconds lease) override {
    const auto row = refund_rows.find(id);
    if (row == refund_rows.end() || !payment::open(row->second.refund.status)) {
      co_return std::nullopt;
    }
    co_return take(row->second, lease);
  }

  Task<bool> record_refund(Context, RefundCall call, RefundOutcome outcome) override {
    RefundRow& row = refund_rows.at(call.refund.id);
    if (!payment::open(row.refund.status)) co_return false;
    const Change change = settle_refund(*by_id(call.refund.payment), row.refund, outcome);
    const bool succeeded = outcome.kind == RefundOutcome::Kind::succeeded;
    row.refund.status = succeeded ? RefundStatus::succeeded : RefundStatus::failed;
    row.failure = outcome.failure;
    apply(change, call.refund.id.uuid);
    co_return change.closing_refund.has_value();
  }

  Task<bool> record_refund_by_hand(Context, RefundCall call, std::string note) override {
    RefundRow& row = refund_rows.at(call.refund.id);
    if (!payment::open(row.refund.status)) co_return false;
    const Change change = settle_refund_by_hand(*by_id(call.refund.payment), row.refund);
    row.refund.status = RefundStatus::succeeded;
    row.failure = "settled by hand: " + note;
    apply(change, call.refund.id.uuid);
    co_return true;
  }

  Task<> postpone_refund(Context, RefundId id, std::chrono::milliseconds retry_in) override {
    RefundRow& row = refund_rows.at(id);
    if (!payment::open(row.refund.status)) co_return;
    row.refund.status = RefundStatus::unknown;
    row.due_at = now + retry_in;
  }

  Task<Result<PaymentView>> find(Context, PaymentId id, Viewer viewer) override {
    const Payment* payment = by_id(id);
    if (payment == nullptr || !payment->amount ||
        !(viewer.sees_all || payment->customer == viewer.user)) {
      co_return refuse(ErrorKind::not_found, "payment_not_found", "there is no such payment");
    }
    co_return view_of(*payment);
  }

  Task<std::optional<PaymentView>> find_by_order(Context, OrderId order, Viewer viewer) override {
    const auto found = payments.find(order);
    if (found == payments.end() || !found->second.amount ||
        !(viewer.sees_all || found->second.customer == viewer.user)) {
      co_return std::nullopt;
    }
    co_return view_of(found->second);
  }

  Task<std::optional<Payment>> payment_of_order(Context, OrderId order) override {
    const auto found = payments.find(order);
    if (found == payments.end()) co_return std::nullopt;
    co_return found->second;
  }

  Task<std::vector<Balance>> balances(Context) override {
    std::map<std::pair<std::string, std::string>, std::int64_t> sums;
    for (const auto& [transaction, entry] : ledger) {
      const std::string currency{entry.amount.currency().code()};
      sums[{std::string{name(entry.account)}, currency}] += entry.amount.minor_units();
    }
    std::vector<Balance> balances;
    for (const auto& [key, sum] : sums) {
      balances.push_back({.account = key.first,
                          .kind = "",
                          .title = "",
                          .currency = key.second,
                          .amount_minor = sum});
    }
    co_return balances;
  }

  Task<EntryPage> entries(Context, ListEntries query) override {
    EntryPage page;
    std::vector<LedgerEntry>& all = page.entries;
    std::map<Uuid, int> lines;
    for (const auto& [transaction, entry] : ledger) {
      all.push_back({.transaction = transaction,
                     .line = ++lines[transaction],
                     .account = std::string{name(entry.account)},
                     .amount_minor = entry.amount.minor_units(),
                     .currency = std::string{entry.amount.currency().code()},
                     .kind = "",
                     .payment = std::nullopt,
                     .created_at = {}});
    }
    const auto position = [](const LedgerEntry& e) { return std::pair{e.transaction, e.line}; };
    std::ranges::sort(all, std::ranges::greater{}, position);
    std::erase_if(all, [&](const LedgerEntry& each) {
      return !query.account.empty() && each.account != query.account;
    });
    if (query.with_total) page.total = ListTotal::of(std::ssize(all));
    std::erase_if(all, [&](const LedgerEntry& each) {
      return query.before &&
             position(each) >= std::pair{query.before->transaction, query.before->line};
    });
    page.has_more = all.size() > query.limit;
    if (page.has_more) all.resize(query.limit);
    co_return page;
  }

  Task<bool> store_provider_event(Context, ProviderEvent event) override {
    const bool fresh = provider_events_.try_emplace(event.id, event.key).second;
    if (fresh) open_provider_events_.push_back(event.key);
    co_return fresh;
  }

  Task<std::size_t> act_on_provider_events(Context, std::size_t) override {
    const std::size_t count = open_provider_events_.size();
    for (const std::string& key : std::exchange(open_provider_events_, {})) {
      if (const auto id = AttemptId::parse(key); id && attempts.contains(*id)) {
        attempts.at(*id).due_at = now;
      }
      if (const auto id = RefundId::parse(key); id && refund_rows.contains(*id)) {
        refund_rows.at(*id).due_at = now;
      }
    }
    co_return count;
  }

 private:
  Payment* by_id(PaymentId id) {
    for (auto& [order, payment] : payments) {
      if (payment.id == id) return &payment;
    }
    return nullptr;
  }

  RefundCall take(RefundRow& row, std::chrono::milliseconds lease) {
    row.due_at = now + lease;
    const Payment& payment = *by_id(row.refund.payment);
    const int before = row.claims++;
    return {.refund = row.refund,
            .order = payment.order,
            .provider_payment = provider_payments[payment.id],
            .traceparent = row.traceparent,
            .sent_before = before > 0,
            .tries = before};
  }

  void apply(const Change& change, const Uuid& transaction) {
    const Payment& next = change.payment;
    payments.at(next.order) = next;
    ++payments.at(next.order).version;
    for (const Entry& entry : change.entries) ledger.emplace_back(transaction, entry);
    for (const Happening& each : change.happenings) told.emplace_back(next.order, each);
    if (!change.closing_refund) return;
    RefundId id;
    id.uuid.bytes[15] = ++closing_refunds_;
    refund_rows.emplace(id, RefundRow{.refund = {.id = id,
                                                 .payment = next.id,
                                                 .amount = change.closing_refund->amount,
                                                 .closing = true},
                                      .reason = "order_cancelled",
                                      .failure = "",
                                      .traceparent = "",
                                      .due_at = now + change.closing_refund->after});
  }

  PaymentView view_of(const Payment& payment) const {
    PaymentView view{.payment = payment, .created_at = {}, .updated_at = {}};
    for (const auto& [id, row] : refund_rows) {
      if (row.refund.payment != payment.id) continue;
      view.refunds.push_back(
          {.refund = row.refund, .reason = row.reason, .failure = row.failure, .created_at = {}});
    }
    return view;
  }

  std::set<Uuid> inbox_;
  std::map<Uuid, std::pair<std::string, Answer>> keys_;
  std::map<std::string, std::string> provider_events_;
  std::vector<std::string> open_provider_events_;
  std::uint8_t closing_refunds_ = 0;
};

}  // namespace stoa::payment
