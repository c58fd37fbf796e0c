#pragma once

#include <array>
#include <cstdint>

namespace stoa::telemetry {

/// Which traces are recorded: a share of all, told by the trace id alone, so that every service
/// decides alike without asking. The 56 random bits of an id (W3C Trace Context level 2, random
/// trace flag) are compared with a rejection threshold (OpenTelemetry consistent probability
/// sampling).
class TraceRatio {
 public:
  explicit TraceRatio(double ratio)
      : reject_below_{static_cast<std::uint64_t>((1.0 - ratio) * static_cast<double>(range))} {}

  bool samples(const std::array<std::uint8_t, 16>& trace_id) const {
    std::uint64_t randomness = 0;
    for (std::size_t i = 9; i < trace_id.size(); ++i) randomness = (randomness << 8U) | trace_id[i];
    return randomness >= reject_below_;
  }

 private:
  static constexpr std::uint64_t range = 1ULL << 56U;
  std::uint64_t reject_below_;
};

}  // namespace stoa::telemetry
