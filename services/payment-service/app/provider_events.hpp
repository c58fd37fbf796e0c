#pragma once

#include <cstddef>

#include "servicekit/async/loops.hpp"

#include "services/payment-service/app/charges.hpp"
#include "services/payment-service/app/refunds.hpp"

namespace stoa::payment {

/// Acts on the provider's webhooks after they were stored: what they tell of is asked about at
/// once. Lives on loop 0.
class ProviderEvents {
 public:
  static constexpr std::size_t batch_max = 500;

  ProviderEvents(Loops& loops, PaymentStore& store, Charges& charges, Refunds& refunds)
      : loops_{loops}, store_{store}, charges_{charges}, refunds_{refunds} {}

  /// Acts on everything stored so far. Throws Unavailable.
  Task<> sweep(Context context);

  /// Sweeps soon; from any loop.
  void wake();

 private:
  Task<> sweep_if_available();

  Loops& loops_;
  PaymentStore& store_;
  Charges& charges_;
  Refunds& refunds_;
  bool sweeping_ = false;
};

}  // namespace stoa::payment
