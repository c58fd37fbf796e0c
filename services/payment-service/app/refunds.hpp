#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "servicekit/async/loops.hpp"

#include "services/payment-service/app/ports.hpp"

namespace stoa::payment {

/// Gives money back: what staff asks for, and everything of a cancelled order. Refunds are driven
/// by their rows like attempts. Lives on loop 0, except request().
class Refunds {
 public:
  struct Limits {
    std::size_t in_flight_max = 16;
    std::chrono::milliseconds lease{10'000};
    std::chrono::milliseconds call_timeout{3'000};
    std::chrono::milliseconds store_timeout{5'000};
  };

  Refunds(Loops& loops, PaymentStore& store, Provider& provider, std::function<double()> jitter,
          Limits limits);

  /// Takes the amount from what may be refunded and answers; the provider is asked afterwards.
  /// Any loop. Errors: payment_not_found, payment_not_captured, refund_exceeds_captured,
  /// refund_currency, idempotency_key_reused. Throws Unavailable.
  Task<Result<Answer>> request(Context context, RefundRequest request, RequestKey key,
                               Answer answer);

  /// Records the order as closed, once per event, and begins what follows. Answers whether an
  /// attempt may have to be asked for. Throws Unavailable.
  Task<> close_order(Context context, Cancellation cancellation);

  /// Takes what is due, as far as there is room. Throws Unavailable.
  Task<> sweep(Context context);

  /// Sweeps soon; from any loop.
  void wake();

  /// For an operator who has paid a refund back by other means: makes its key void at the provider
  /// and books it. Answers what stands: the provider may have done it after all.
  /// Errors: refund_not_open. Throws Unavailable.
  Task<Result<RefundOutcome>> settle_by_hand(Context context, RefundId id, std::string note);

  /// Takes nothing more; waits until what is in hand is written, at most `timeout`.
  Task<> stop(std::chrono::milliseconds timeout);

 private:
  Task<> work(RefundCall call);
  Task<bool> bring_to_end(RefundCall call);
  Task<RefundOutcome> talk(Context context, RefundCall call);

  Loops& loops_;
  PaymentStore& store_;
  Provider& provider_;
  std::function<double()> jitter_;
  Limits limits_;
  std::size_t in_flight_ = 0;
  bool sweeping_ = false;
  bool stopping_ = false;
};

}  // namespace stoa::payment
