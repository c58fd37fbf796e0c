#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/currency.hpp"

namespace stoa {

/// An amount held in the currency's minor unit (cents), never in floating point:
/// ten lines at 0.10 must sum to exactly 1.00.
class Money {
 public:
  /// What a JSON number carries without loss (RFC 8259 section 6), either way.
  static constexpr std::int64_t wire_max = 9'007'199'254'740'991;

  constexpr Money(std::int64_t minor_units, Currency currency)
      : minor_units_{minor_units}, currency_{currency} {}

  constexpr std::int64_t minor_units() const { return minor_units_; }
  constexpr Currency currency() const { return currency_; }

  /// Empty when the currencies differ or the sum leaves what the wire carries.
  constexpr std::optional<Money> plus(Money other) const {
    std::int64_t sum = 0;
    if (currency_ != other.currency_) return std::nullopt;
    if (__builtin_add_overflow(minor_units_, other.minor_units_, &sum)) return std::nullopt;
    return bounded(sum);
  }

  /// Empty when the currencies differ or the difference leaves what the wire carries.
  constexpr std::optional<Money> minus(Money other) const {
    std::int64_t difference = 0;
    if (currency_ != other.currency_) return std::nullopt;
    if (__builtin_sub_overflow(minor_units_, other.minor_units_, &difference)) return std::nullopt;
    return bounded(difference);
  }

  /// Empty when the product leaves what the wire carries.
  constexpr std::optional<Money> times(std::uint32_t quantity) const {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(minor_units_, quantity, &product)) return std::nullopt;
    return bounded(product);
  }

  /// A decimal text as people and spreadsheets write it: "12.99", "12", "-0.5"; a point, no
  /// grouping, no exponent, at most as many decimals as the currency has. Empty otherwise.
  static std::optional<Money> parse_decimal(std::string_view text, Currency currency);

  /// "12.99", "1299" for JPY, "1.299" for KWD.
  std::string decimal() const;

  friend constexpr bool operator==(Money, Money) = default;

 private:
  constexpr std::optional<Money> bounded(std::int64_t minor_units) const {
    if (minor_units > wire_max || minor_units < -wire_max) return std::nullopt;
    return Money{minor_units, currency_};
  }

  std::int64_t minor_units_;
  Currency currency_;
};

/// Splits `whole` in proportion to `weights` by the largest-remainder method, so that the parts add
/// up to the whole exactly; of equal remainders the earlier part gets the unit.
/// Weights are not negative and not all zero.
std::vector<std::int64_t> split_by_largest_remainder(std::int64_t whole,
                                                     const std::vector<std::int64_t>& weights);

/// `amount` × `numerator` / `denominator`, rounded half to even (IEEE 754 roundTiesToEven).
/// Empty when the result leaves int64. The denominator is positive.
std::optional<std::int64_t> scale_half_even(std::int64_t amount, std::int64_t numerator,
                                            std::int64_t denominator);

}  // namespace stoa
