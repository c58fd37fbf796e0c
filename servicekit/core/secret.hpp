#pragma once

#include <string>
#include <utility>

namespace stoa {

/// A value that has no printer, no comparison and no conversion: to use it, a line must say
/// `reveal()`, which a review can find.
template <class T = std::string>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_{std::move(value)} {}

  const T& reveal() const { return value_; }

 private:
  T value_{};
};

}  // namespace stoa
