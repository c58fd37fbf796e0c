#include "services/api-gateway/admission.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "servicekit/core/require.hpp"

namespace stoa::gateway {
namespace {

constexpr std::chrono::milliseconds window{100};
constexpr double shrink_min = 0.5;  // in one window: what it saw may be older than the last step
constexpr double growth = 1.1;
constexpr double used_share = 0.5;
constexpr int idle_steps_max = 50;
constexpr int server_error = 500;

}  // namespace

Admission::Admission(const Limits& limits)
    : limits_{limits}, limit_{static_cast<double>(limits.first)} {
  require(limits.least <= limits.first && limits.first <= limits.most && limits.least > 0,
          "the limits of an admission are in order");
}

bool Admission::enter() {
  if (in_flight_ >= limit()) return false;
  peak_ = std::max(peak_, ++in_flight_);
  return true;
}

void Admission::leave(const Ended& call) {
  --in_flight_;
  const auto took = call.now - call.began;
  // A quick failure does not say that calls are quick.
  if (call.is_answered || took > limits_.target) {
    ++count_;
    total_ += took;
  }
  if (count_ == 0 || call.now - window_began_ < window) return;
  adapt(call.now);
  window_began_ = call.now;
  peak_ = in_flight_;
  count_ = 0;
  total_ = {};
}

void Admission::adapt(TimePoint now) {
  const auto mean = std::chrono::duration<double>{total_} / static_cast<double>(count_);
  const auto target = std::chrono::duration<double>{limits_.target};
  if (static_cast<double>(peak_) < limit_ * used_share) {
    const auto steps = std::min<std::int64_t>((now - window_began_) / window, idle_steps_max);
    const auto first = static_cast<double>(limits_.first);
    const double relaxed = limit_ * std::pow(growth, static_cast<double>(steps));
    limit_ = std::max(limit_, std::min(first, relaxed));
  } else if (mean > target) {
    const double fitting = limit_ * std::max(target / mean, shrink_min);
    limit_ = std::max(static_cast<double>(limits_.least), fitting);
  } else {
    limit_ = std::min(static_cast<double>(limits_.most), limit_ * growth);
  }
}

std::unique_ptr<Place> Place::take(std::shared_ptr<Admission> admission) {
  if (!admission->enter()) return nullptr;
  return std::make_unique<Place>(std::move(admission));
}

Place::Place(std::shared_ptr<Admission> admission)
    : admission_{std::move(admission)}, began_{std::chrono::steady_clock::now()} {}

Place::~Place() {
  admission_->leave(
      {.began = began_, .now = std::chrono::steady_clock::now(), .is_answered = is_answered_});
}

void Place::answered(int status) { is_answered_ = status < server_error; }

}  // namespace stoa::gateway
