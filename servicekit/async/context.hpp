#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "servicekit/async/trace_context.hpp"

namespace stoa {

/// What travels with one request or message: its deadline, its trace and its id. Cheap to copy.
///
/// Passed explicitly, as the first argument of everything that waits, because
/// thread-local context does not survive a co_await.
struct Context {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  TraceContext trace{};
  std::shared_ptr<const std::string> request_id{};

  bool expired() const { return std::chrono::steady_clock::now() >= deadline; }

  /// The same context with a deadline no later than `timeout` from now.
  Context within(std::chrono::milliseconds timeout) const {
    Context shorter = *this;
    shorter.deadline = std::min(deadline, std::chrono::steady_clock::now() + timeout);
    return shorter;
  }
};

}  // namespace stoa
