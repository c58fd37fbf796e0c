#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace stoa {

/// When the next batch may begin. A transaction costs much the same for one row and for ten, and
/// so do a publication's way to the disk and the waking of a thread. So once a few have come within
/// a moment, the others wait for its end and share a batch; who comes alone is never kept waiting.
/// The delay is there only under a load at which it makes room. Belongs to one thread.
class Pacing {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t company_min = 4;
  static constexpr std::chrono::milliseconds gathering{10};

  /// A batch of `count` begins.
  void begin(Clock::time_point now, std::size_t count) {
    if (now >= begin_ + gathering) {
      begin_ = now;
      count_ = 0;
    }
    count_ += count;
  }
  /// The next must not begin earlier.
  Clock::time_point next() const { return count_ < company_min ? begin_ : begin_ + gathering; }
  /// How long until then, rounded up: who waits so long and not less does not spin.
  std::chrono::milliseconds left(Clock::time_point now) const {
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::ceil<std::chrono::milliseconds>(next() - now));
  }

 private:
  Clock::time_point begin_{};  ///< of the first batch of this moment
  std::size_t count_ = 0;      ///< that came in it
};

}  // namespace stoa
