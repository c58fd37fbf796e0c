#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "servicekit/async/loops.hpp"

#include "services/payment-service/app/ports.hpp"

namespace stoa::payment {

/// Brings every attempt to its end: captured, declined or voided. An attempt is driven by its row,
/// which this takes by lease; what is in here is only the work in hand and may be lost at any
/// moment. Lives on loop 0.
class Charges {
 public:
  struct Limits {
    std::size_t in_flight_max = 64;  ///< calls to the provider at a time
    std::size_t waiting_max = 512;   ///< leased attempts that wait for such a call
    std::size_t batch_max = 256;     ///< outcomes written in one transaction
    std::chrono::milliseconds lease{10'000};
    std::chrono::milliseconds call_timeout{3'000};
    std::chrono::milliseconds store_timeout{5'000};
  };

  /// `jitter` gives a factor of pauses, 0.5 to 1. `refunds_due` is called when a capture of a
  /// closed order has to go back.
  Charges(Loops& loops, PaymentStore& store, Provider& provider, std::function<double()> jitter,
          std::function<void()> refunds_due, Limits limits);

  /// Stores an attempt for each order that may be charged, and begins with those that fit; returns
  /// when they are durable. Throws Unavailable.
  Task<> open(Context context, std::vector<PlacedOrder> orders);

  /// Takes what is due, as far as there is room. Throws Unavailable.
  Task<> sweep(Context context);

  /// Sweeps soon; from loop 0.
  void wake();

  /// Takes nothing more; waits until what is in hand is written, at most `timeout`.
  Task<> stop(std::chrono::milliseconds timeout);

 private:
  std::size_t room() const;
  void take(std::vector<Charge> charges);
  void pump();
  Task<> work(Charge charge);
  Task<ChargeOutcome> talk(Context context, Charge charge);
  Task<> write_results();

  Loops& loops_;
  PaymentStore& store_;
  Provider& provider_;
  std::function<double()> jitter_;
  std::function<void()> refunds_due_;
  Limits limits_;

  std::deque<Charge> waiting_;
  std::size_t in_flight_ = 0;
  std::vector<ChargeResult> results_;
  bool writing_ = false;
  bool more_due_ = false;  // the last sweep filled the room there was
  bool sweeping_ = false;
  bool stopping_ = false;
};

}  // namespace stoa::payment
