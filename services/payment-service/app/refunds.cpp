#include "services/payment-service/app/refunds.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

#include "servicekit/async/if_available.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/payment-service/app/background.hpp"

namespace stoa::payment {
namespace {

constexpr std::chrono::milliseconds stop_poll{5};

}  // namespace

Refunds::Refunds(Loops& loops, PaymentStore& store, Provider& provider,
                 std::function<double()> jitter, Limits limits)
    : loops_{loops},
      store_{store},
      provider_{provider},
      jitter_{std::move(jitter)},
      limits_{limits} {}

Task<Result<Answer>> Refunds::request(Context context, RefundRequest request, RequestKey key,
                                      Answer answer) {
  auto taken = co_await store_.request_refund(std::move(context), std::move(request),
                                              std::move(key), std::move(answer));
  if (taken && !taken->replayed) wake();
  co_return taken;
}

Task<> Refunds::close_order(Context context, Cancellation cancellation) {
  const bool due = co_await store_.close_order(std::move(context), std::move(cancellation));
  if (due) wake();
}

Task<> Refunds::sweep(Context context) {
  if (sweeping_ || stopping_ || in_flight_ >= limits_.in_flight_max) co_return;
  sweeping_ = true;
  auto claimed = co_await if_available(
      store_.claim_refunds(std::move(context), limits_.in_flight_max - in_flight_, limits_.lease));
  sweeping_ = false;
  if (!claimed) co_return;
  for (RefundCall& call : *claimed) {
    ++in_flight_;
    spawn(loops_.at(0), "payment.refund", work(std::move(call)));
  }
}

void Refunds::wake() {
  boost::asio::post(loops_.at(0), [this] {
    spawn(loops_.at(0), "payment.refunds.sweep", sweep(background("", limits_.store_timeout)));
  });
}

Task<Result<RefundOutcome>> Refunds::settle_by_hand(Context context, RefundId id,
                                                    std::string note) {
  auto call = co_await store_.claim_refund(context, id, limits_.lease);
  if (!call) {
    co_return refuse(ErrorKind::conflict, "refund_not_open", "no open refund has this id");
  }
  // From here on the provider cannot do it any more, or has done it already.
  auto standing = co_await provider_.void_refund(context, id);
  if (standing && standing->kind == RefundOutcome::Kind::succeeded) {
    co_await store_.record_refund(std::move(context), std::move(*call), *standing);
    co_return std::move(*standing);
  }
  const bool booked =
      co_await store_.record_refund_by_hand(std::move(context), std::move(*call), std::move(note));
  if (!booked) {
    co_return refuse(ErrorKind::conflict, "refund_not_open", "the refund ended at this moment");
  }
  co_return RefundOutcome{.kind = RefundOutcome::Kind::failed, .failure = "settled_by_hand"};
}

Task<> Refunds::stop(std::chrono::milliseconds timeout) {
  stopping_ = true;
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (in_flight_ > 0 && std::chrono::steady_clock::now() < until) co_await sleep_for(stop_poll);
}

Task<> Refunds::work(RefundCall call) {
  // A database that is away ends the lease, and the provider is asked then.
  const auto follows = co_await if_available(bring_to_end(std::move(call)));
  --in_flight_;
  if (follows.value_or(false) && !stopping_) wake();
}

Task<bool> Refunds::bring_to_end(RefundCall call) {
  Context context = background(call.traceparent, limits_.call_timeout);
  const auto outcome = co_await if_available(talk(std::move(context), call));
  Context write = background(call.traceparent, limits_.store_timeout);
  if (!outcome) {
    const auto pause = question_backoff(call.tries + 1);
    const auto retry_in = std::chrono::milliseconds{
        static_cast<std::int64_t>(static_cast<double>(pause.count()) * jitter_())};
    co_await store_.postpone_refund(std::move(write), call.refund.id, retry_in);
    co_return false;
  }
  const bool follows = co_await store_.record_refund(std::move(write), std::move(call), *outcome);
  co_return follows;
}

Task<RefundOutcome> Refunds::talk(Context context, RefundCall call) {
  if (call.sent_before) {
    if (runtime::mutant<"payment.refund_key_changed">()) call.refund.id.uuid.bytes.back() ^= 1U;
    auto known = co_await provider_.ask_refund(context, call.refund.id);
    if (known) co_return std::move(*known);
  }
  RefundOutcome outcome = co_await provider_.refund(std::move(context), std::move(call));
  co_return outcome;
}

}  // namespace stoa::payment
