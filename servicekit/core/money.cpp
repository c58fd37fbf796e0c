#include "servicekit/core/money.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <limits>
#include <numeric>

#include "servicekit/core/require.hpp"

namespace stoa {
namespace {

// Products of two amounts need 128 bits before they are divided.
__extension__ using Wide = __int128;

std::int64_t power_of_ten(int exponent) {
  std::int64_t value = 1;
  for (int i = 0; i < exponent; ++i) value *= 10;
  return value;
}

bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<Money> Money::parse_decimal(std::string_view text, Currency currency) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string_view fraction;
  if (point != std::string_view::npos) {
    fraction = text.substr(point + 1);
    if (fraction.empty()) return std::nullopt;
  }
  if (whole.empty() || whole.size() > 15 || !all_digits(whole) || !all_digits(fraction)) {
    return std::nullopt;
  }
  const auto exponent = static_cast<std::size_t>(currency.exponent());
  // "12.90" is a fine price in JPY only when the extra decimals say nothing.
  while (fraction.size() > exponent && fraction.ends_with('0')) fraction.remove_suffix(1);
  if (fraction.size() > exponent) return std::nullopt;

  std::string digits{whole};
  digits += fraction;
  digits.append(exponent - fraction.size(), '0');
  std::int64_t minor_units = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), minor_units);
  if (error != std::errc{} || minor_units > wire_max) return std::nullopt;
  return Money{negative ? -minor_units : minor_units, currency};
}

std::string Money::decimal() const {
  const int exponent = currency_.exponent();
  if (exponent == 0) return std::to_string(minor_units_);
  const std::int64_t unit = power_of_ten(exponent);
  const std::int64_t whole = minor_units_ / unit;
  const std::int64_t rest = minor_units_ % unit;
  return std::format("{}{}.{:0{}}", minor_units_ < 0 ? "-" : "", whole < 0 ? -whole : whole,
                     rest < 0 ? -rest : rest, exponent);
}

std::vector<std::int64_t> split_by_largest_remainder(std::int64_t whole,
                                                     const std::vector<std::int64_t>& weights) {
  Wide sum = 0;
  for (const std::int64_t weight : weights) {
    require(weight >= 0, "a weight is not negative");
    sum += weight;
  }
  require(sum > 0, "some weight is positive");

  const std::int64_t sign = whole < 0 ? -1 : 1;
  std::vector<std::int64_t> parts(weights.size());
  std::vector<Wide> remainders(weights.size());
  std::int64_t left = whole * sign;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Wide share = Wide{whole} * sign * weights[i];
    parts[i] = static_cast<std::int64_t>(share / sum);
    remainders[i] = share % sum;
    left -= parts[i];
  }
  std::vector<std::size_t> by_remainder(weights.size());
  std::ranges::iota(by_remainder, std::size_t{0});
  std::ranges::stable_sort(
      by_remainder, [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; left > 0; ++i, --left) ++parts[by_remainder[i]];
  for (std::int64_t& part : parts) part *= sign;
  return parts;
}

std::optional<std::int64_t> scale_half_even(std::int64_t amount, std::int64_t numerator,
                                            std::int64_t denominator) {
  require(denominator > 0, "a denominator is positive");
  const Wide product = Wide{amount} * numerator;
  Wide quotient = product / denominator;
  Wide rest = product % denominator;
  if (rest < 0) rest = -rest;
  const bool up = rest * 2 > denominator || (rest * 2 == denominator && quotient % 2 != 0);
  if (up) quotient += product < 0 ? -1 : 1;
  if (quotient > std::numeric_limits<std::int64_t>::max() ||
      quotient < std::numeric_limits<std::int64_t>::min()) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(quotient);
}

}  // namespace stoa
