#pragma once

#include <random>

namespace stoa {

/// Spreads what would otherwise happen in step: retries, sweeps. Not for secrets. From any thread.
inline double random_between(double low, double high) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution{low, high}(generator);
}

}  // namespace stoa
