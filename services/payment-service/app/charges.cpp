#include "services/payment-service/app/charges.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "servicekit/async/if_available.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/payment-service/app/background.hpp"

namespace stoa::payment {
namespace {

constexpr std::chrono::milliseconds stop_poll{5};

std::chrono::milliseconds scaled(std::chrono::milliseconds pause, double factor) {
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(static_cast<double>(pause.count()) * factor)};
}

Charge first_charge(PlacedOrder order) {
  return {.attempt = order.attempt,
          .payment = order.payment,
          .order = order.order,
          .customer = order.customer,
          .amount = order.amount,
          .token = std::move(order.token),
          .traceparent = std::move(order.traceparent)};
}

}  // namespace

Charges::Charges(Loops& loops, PaymentStore& store, Provider& provider,
                 std::function<double()> jitter, std::function<void()> refunds_due, Limits limits)
    : loops_{loops},
      store_{store},
      provider_{provider},
      jitter_{std::move(jitter)},
      refunds_due_{std::move(refunds_due)},
      limits_{limits} {}

Task<> Charges::open(Context context, std::vector<PlacedOrder> orders) {
  std::unordered_map<AttemptId, Charge> by_attempt;
  for (const PlacedOrder& order : orders) by_attempt.emplace(order.attempt, first_charge(order));

  const std::vector<AttemptId> leased =
      co_await store_.open(std::move(context), std::move(orders), room(), limits_.lease);
  std::vector<Charge> charges;
  charges.reserve(leased.size());
  for (const AttemptId& id : leased) charges.push_back(std::move(by_attempt.at(id)));
  take(std::move(charges));
}

Task<> Charges::sweep(Context context) {
  const std::size_t wanted = room();
  if (sweeping_ || wanted == 0) co_return;
  // Two sweeps of one process would take from each other what the other has room for.
  sweeping_ = true;
  auto claimed =
      co_await if_available(store_.claim_charges(std::move(context), wanted, limits_.lease));
  sweeping_ = false;
  if (!claimed) co_return;
  more_due_ = claimed->size() == wanted;
  take(std::move(*claimed));
}

void Charges::wake() {
  spawn(loops_.at(0), "payment.charges.sweep", sweep(background("", limits_.store_timeout)));
}

Task<> Charges::stop(std::chrono::milliseconds timeout) {
  stopping_ = true;
  const auto until = std::chrono::steady_clock::now() + timeout;
  const auto busy = [this] { return in_flight_ > 0 || writing_ || !waiting_.empty(); };
  while (busy() && std::chrono::steady_clock::now() < until) co_await sleep_for(stop_poll);
}

std::size_t Charges::room() const {
  if (stopping_) return 0;
  return limits_.waiting_max - std::min(waiting_.size(), limits_.waiting_max);
}

void Charges::take(std::vector<Charge> charges) {
  std::ranges::move(charges, std::back_inserter(waiting_));
  pump();
}

void Charges::pump() {
  while (in_flight_ < limits_.in_flight_max && !waiting_.empty()) {
    Charge next = std::move(waiting_.front());
    waiting_.pop_front();
    ++in_flight_;
    spawn(loops_.at(0), "payment.charge", work(std::move(next)));
  }
  if (waiting_.empty() && more_due_ && !stopping_) {
    more_due_ = false;
    wake();
  }
}

Task<> Charges::work(Charge charge) {
  Context context = background(charge.traceparent, limits_.call_timeout);
  auto outcome = co_await if_available(talk(std::move(context), charge));
  if (!outcome && runtime::mutant<"payment.unknown_is_declined">()) {
    outcome = ChargeOutcome{.kind = ChargeOutcome::Kind::declined, .reason = "no_answer"};
  }
  ChargeResult result{.charge = std::move(charge), .outcome = std::move(outcome)};
  // A capture is asked again soon and then less often; jitter keeps a crowd of them apart.
  result.retry_in = scaled(question_backoff(result.charge.tries + 1), jitter_());
  results_.push_back(std::move(result));
  --in_flight_;
  pump();
  if (!writing_) {
    writing_ = true;
    spawn(loops_.at(0), "payment.write_results", write_results());
  }
}

// Not found is not an outcome: the request may still be on its way. For an open order the same
// request goes out again under the same key; for a closed one the key is made void, so that
// whatever is on its way is refused when it arrives.
Task<ChargeOutcome> Charges::talk(Context context, Charge charge) {
  if (charge.sent_before) {
    if (runtime::mutant<"payment.attempt_key_changed">()) charge.attempt.uuid.bytes.back() ^= 1U;
    auto known = co_await provider_.ask_charge(context, charge.attempt);
    if (known) co_return std::move(*known);
  }
  if (charge.closed) {
    ChargeOutcome standing = co_await provider_.void_charge(context, charge.attempt);
    co_return standing;
  }
  ChargeOutcome outcome = co_await provider_.charge(std::move(context), std::move(charge));
  co_return outcome;
}

// While one transaction is on its way the outcomes of the others gather for the next. Should the
// database be away they are forgotten here: the lease ends, and the provider is asked.
Task<> Charges::write_results() {
  while (!results_.empty()) {
    const std::size_t count = std::min(results_.size(), limits_.batch_max);
    std::vector<ChargeResult> batch{
        std::make_move_iterator(results_.begin()),
        std::make_move_iterator(results_.begin() + static_cast<std::ptrdiff_t>(count))};
    results_.erase(results_.begin(), results_.begin() + static_cast<std::ptrdiff_t>(count));
    Context context = background("", limits_.store_timeout);
    const auto refunds_follow =
        co_await if_available(store_.record_charges(std::move(context), std::move(batch)));
    if (refunds_follow.value_or(false)) refunds_due_();
  }
  writing_ = false;
}

}  // namespace stoa::payment
