#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace stoa::messaging::detail {

/// Waits that double up to a cap, each between half and the whole of its step: replicas that lost
/// the same broker do not come back in the same moment.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds cap)
      : first_{first}, cap_{cap}, step_{first} {}

  std::chrono::milliseconds next() {
    std::uniform_int_distribution<std::chrono::milliseconds::rep> pick{step_.count() / 2,
                                                                       step_.count()};
    step_ = std::min(step_ * 2, cap_);
    return std::chrono::milliseconds{pick(random_)};
  }

  void reset() { step_ = first_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds cap_;
  std::chrono::milliseconds step_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace stoa::messaging::detail
