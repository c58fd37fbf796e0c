#pragma once

#include <compare>

namespace stoa {

/// A value of type Rep that only mixes with its own kind: a Fingerprint never
/// compares with, converts to, or is passed as an Origin.
template <class Tag, class Rep>
struct Strong {
  Rep value;

  friend auto operator<=>(const Strong&, const Strong&) = default;
};

}  // namespace stoa
