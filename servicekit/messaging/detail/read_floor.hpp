#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace stoa::messaging::detail {

/// From where the relay reads. What it has deleted stays in the index until a vacuum, tens of
/// thousands of entries on a busy day, and a read that begins at the first row passes them all. But
/// a row gets its number before its transaction commits: one with a lower number may appear after
/// one with a higher. So the floor follows what was read with a delay that all but a few
/// transactions keep within, and for those few a whole read comes by every now and then. Belongs to
/// one thread.
class ReadFloor {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds late_max{250};
  static constexpr std::chrono::milliseconds whole_every{1'000};

  /// Rows that were read before, or passed over, must be read again.
  void reset() { *this = {}; }

  /// The next read is to begin above this number; 0 for a whole one.
  std::int64_t above(Clock::time_point now) {
    if (now >= next_whole_) {
      next_whole_ = now + whole_every;
      return 0;
    }
    return above_;
  }

  /// Everything above what above() told last, up to `seq`, was read at `now`.
  void read_up_to(std::int64_t seq, Clock::time_point now) {
    if (now >= next_rise_) {
      above_ = marked_;
      marked_ = highest_;
      next_rise_ = now + late_max;
    }
    highest_ = std::max(highest_, seq);
  }

 private:
  std::int64_t above_ = 0;    ///< read `late_max` or longer ago
  std::int64_t marked_ = 0;   ///< read when the floor rose last
  std::int64_t highest_ = 0;  ///< read by now
  Clock::time_point next_rise_{};
  Clock::time_point next_whole_{};
};

}  // namespace stoa::messaging::detail
