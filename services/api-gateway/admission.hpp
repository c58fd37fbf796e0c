#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

namespace stoa::gateway {

/// How many calls of one kind may be at a service at a time, learnt from how long they take. While
/// they fill at least half of the limit and take longer than `target` (the mean of a tenth of a
/// second), the limit shrinks in proportion; while they are in time it grows with its use. What
/// does not use it says nothing about it, however slow: it goes back to `first`.
///
/// So a queue never becomes longer than what the service works off in about `target`, however many
/// ask; and a few callers of a slow service are not refused. Belongs to one loop.
class Admission {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::size_t least = 8;
    std::size_t first = 128;
    std::size_t most = 1'024;
    std::chrono::milliseconds target{75};
  };
  struct Ended {
    TimePoint began;
    TimePoint now;
    bool is_answered;  ///< with less than 500
  };

  explicit Admission(const Limits& limits);

  /// A call begins. False: it is one too many and must not.
  bool enter();
  /// A call that was let in has ended, however it did.
  void leave(const Ended& call);
  std::size_t limit() const { return static_cast<std::size_t>(limit_); }

 private:
  void adapt(TimePoint now);

  Limits limits_;
  double limit_;
  std::size_t in_flight_ = 0;
  // Of the window that is open.
  TimePoint window_began_{};
  std::size_t peak_ = 0;
  std::size_t count_ = 0;
  std::chrono::nanoseconds total_{0};
};

/// The place of one call; left when it goes. Shares the admission, since a loop may destroy its
/// tasks when all else is gone.
class Place {
 public:
  /// Empty when there is none left.
  static std::unique_ptr<Place> take(std::shared_ptr<Admission> admission);
  explicit Place(std::shared_ptr<Admission> admission);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place();

  void answered(int status);

 private:
  std::shared_ptr<Admission> admission_;
  Admission::TimePoint began_;
  bool is_answered_ = false;
};

}  // namespace stoa::gateway
