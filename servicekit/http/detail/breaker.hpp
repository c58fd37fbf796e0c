#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace stoa::http::detail {

/// Circuit breaker of one address. Closed until `failures` calls in a row have failed; then one
/// probe is let through every `open_for`, and its success closes it.
///
/// A refused connection is no failure in this sense: it costs next to nothing, and a replica that
/// is being replaced is back before a breaker would close. Such an address is only the last choice
/// for as long.
class Breaker {
 public:
  using Clock = std::chrono::steady_clock;
  struct Limits {
    std::size_t failures;
    std::chrono::milliseconds open_for;
  };
  explicit Breaker(Limits limits) : limits_{limits} {}

  bool is_open() const { return failures_ >= limits_.failures; }
  bool allows(Clock::time_point now) const { return !is_open() || now >= probe_at_; }
  /// A call begins. Of an open breaker it is the probe, and puts the next one off.
  void begin(Clock::time_point now) {
    if (is_open()) probe_at_ = now + limits_.open_for;
  }
  bool is_last_choice(Clock::time_point now) const { return now < last_choice_until_; }
  void refused(Clock::time_point now) { last_choice_until_ = now + limits_.open_for; }
  void succeeded() {
    failures_ = 0;
    last_choice_until_ = {};
  }
  void failed(Clock::time_point now) {
    ++failures_;
    if (is_open()) probe_at_ = now + limits_.open_for;
  }

 private:
  Limits limits_;
  std::size_t failures_ = 0;
  Clock::time_point probe_at_{};
  Clock::time_point last_choice_until_{};
};

/// Retries as a share of the requests of the last ten seconds, so that they cannot feed an
/// overload.
class RetryBudget {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RetryBudget(double ratio_max) : ratio_max_{ratio_max} {}

  void count_request(Clock::time_point now) { ++at(now).requests; }
  /// Takes one retry when the budget has it. A caller of few requests may always repeat some.
  bool take(Clock::time_point now) {
    Second& second = at(now);
    std::size_t requests = 0;
    std::size_t retries = 0;
    for (const Second& one : seconds_) {
      if (second.number - one.number >= seconds_.size()) continue;
      requests += one.requests;
      retries += one.retries;
    }
    const double allowed = always_allowed + ratio_max_ * static_cast<double>(requests);
    if (static_cast<double>(retries) + 1 > allowed) return false;
    ++second.retries;
    return true;
  }

 private:
  static constexpr double always_allowed = 3;
  struct Second {
    std::size_t number = 0;
    std::size_t requests = 0;
    std::size_t retries = 0;
  };

  Second& at(Clock::time_point now) {
    const auto number = static_cast<std::size_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
    Second& second = seconds_[number % seconds_.size()];
    if (second.number != number) second = {.number = number};
    return second;
  }

  double ratio_max_;
  std::array<Second, 10> seconds_{};
};

}  // namespace stoa::http::detail
