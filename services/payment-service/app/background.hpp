#pragma once

#include <chrono>
#include <string_view>

#include "servicekit/async/context.hpp"

namespace stoa::payment {

/// The context of work that nobody waits for: a time-out of its own, and the trace of what it
/// continues, where there is one.
inline Context background(std::string_view traceparent, std::chrono::milliseconds timeout) {
  Context context;
  context.trace = TraceContext::parse(traceparent).value_or(TraceContext{});
  return context.within(timeout);
}

}  // namespace stoa::payment
