#pragma once

#include <source_location>
#include <string_view>

namespace stoa {

/// A broken invariant is a bug: writes the place and `what` to standard error and aborts.
/// Never for anything that input or the world can cause.
[[noreturn]] void fail_invariant(std::string_view what, std::source_location place);

inline void require(bool condition, std::string_view what,
                    std::source_location place = std::source_location::current()) {
  if (!condition) [[unlikely]]
    fail_invariant(what, place);
}

}  // namespace stoa
