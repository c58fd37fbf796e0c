#include "services/payment-service/app/provider_events.hpp"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

#include "servicekit/async/if_available.hpp"

namespace stoa::payment {
namespace {

constexpr std::chrono::milliseconds store_timeout{5'000};

}  // namespace

Task<> ProviderEvents::sweep(Context context) {
  std::size_t done = batch_max;
  std::size_t sum = 0;
  while (done == batch_max) {
    done = co_await store_.act_on_provider_events(context, batch_max);
    sum += done;
  }
  if (sum == 0) co_return;
  charges_.wake();
  refunds_.wake();
}

void ProviderEvents::wake() {
  boost::asio::post(loops_.at(0), [this] {
    spawn(loops_.at(0), "payment.provider_events", sweep_if_available());
  });
}

// One at a time: a second one would only wait for the first one's rows. What comes meanwhile is
// found by the periodic sweep at the latest.
Task<> ProviderEvents::sweep_if_available() {
  if (sweeping_) co_return;
  sweeping_ = true;
  Context context;
  context = context.within(store_timeout);
  co_await if_available(sweep(std::move(context)));
  sweeping_ = false;
}

}  // namespace stoa::payment
