#include "servicekit/core/money.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace stoa {
namespace {

using currencies::eur;
using currencies::jpy;
using currencies::kwd;
using currencies::usd;

TEST(Currency, KnowsTheExponentsOfIso4217) {
  EXPECT_EQ(eur.exponent(), 2);
  EXPECT_EQ(jpy.exponent(), 0);
  EXPECT_EQ(kwd.exponent(), 3);
}

TEST(Currency, RefusesWhatIsNoCode) {
  EXPECT_FALSE(Currency::parse("eur"));
  EXPECT_FALSE(Currency::parse("XXX"));
  EXPECT_FALSE(Currency::parse(""));
  EXPECT_FALSE(Currency::parse("EURO"));
}

TEST(Currency, FindsEveryRowOfItsTable) {
  for (const auto& row : detail::currencies) {
    ASSERT_TRUE(Currency::parse(row.code)) << row.code;
    EXPECT_EQ(Currency::parse(row.code)->code(), row.code);
  }
}

TEST(Money, AddsExactly) {
  Money sum{0, eur};
  for (int i = 0; i < 10; ++i) sum = *sum.plus(Money{10, eur});
  EXPECT_EQ(sum, (Money{100, eur}));
}

TEST(Money, RefusesTwoCurrencies) {
  EXPECT_FALSE((Money{1, eur}.plus(Money{1, usd})));
  EXPECT_FALSE((Money{1, eur}.minus(Money{1, usd})));
}

TEST(Money, RefusesWhatTheWireCannotCarry) {
  const Money most{Money::wire_max, eur};
  EXPECT_TRUE(most.plus(Money{0, eur}));
  EXPECT_FALSE(most.plus(Money{1, eur}));
  EXPECT_TRUE((Money{Money::wire_max / 2, eur}.times(2)));
  EXPECT_FALSE(most.times(2));
  EXPECT_FALSE((Money{-Money::wire_max, eur}.minus(Money{1, eur})));
  EXPECT_FALSE((Money{std::numeric_limits<std::int64_t>::max(), eur}.times(2)));
}

struct Decimal {
  const char* text;
  Currency currency;
  std::optional<std::int64_t> minor_units;
};

class ParseDecimal : public testing::TestWithParam<Decimal> {};

TEST_P(ParseDecimal, ReadsOrRefuses) {
  const auto money = Money::parse_decimal(GetParam().text, GetParam().currency);
  ASSERT_EQ(money.has_value(), GetParam().minor_units.has_value()) << GetParam().text;
  if (money) {
    EXPECT_EQ(money->minor_units(), *GetParam().minor_units);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ParseDecimal,
    testing::Values(Decimal{"12.99", eur, 1299}, Decimal{"12", eur, 1200},
                    Decimal{"12.9", eur, 1290}, Decimal{"-0.50", eur, -50},
                    Decimal{"1299", jpy, 1299}, Decimal{"1299.00", jpy, 1299},
                    Decimal{"1.299", kwd, 1299}, Decimal{"12.990", eur, 1299},
                    Decimal{"90071992547409.91", eur, Money::wire_max},
                    Decimal{"90071992547409.92", eur, std::nullopt},
                    Decimal{"12.999", eur, std::nullopt}, Decimal{"12.5", jpy, std::nullopt},
                    Decimal{"", eur, std::nullopt}, Decimal{".5", eur, std::nullopt},
                    Decimal{"5.", eur, std::nullopt}, Decimal{"1,299.00", eur, std::nullopt},
                    Decimal{"1e3", eur, std::nullopt}, Decimal{" 1", eur, std::nullopt},
                    Decimal{"+1", eur, std::nullopt}, Decimal{"--1", eur, std::nullopt},
                    Decimal{"9999999999999999", eur, std::nullopt}));

TEST(Money, WritesTheDecimalItReads) {
  EXPECT_EQ((Money{1299, eur}.decimal()), "12.99");
  EXPECT_EQ((Money{-5, eur}.decimal()), "-0.05");
  EXPECT_EQ((Money{1299, jpy}.decimal()), "1299");
  EXPECT_EQ((Money{1005, kwd}.decimal()), "1.005");
}

TEST(LargestRemainder, PartsAddUpToTheWhole) {
  EXPECT_EQ(split_by_largest_remainder(100, {1, 1, 1}), (std::vector<std::int64_t>{34, 33, 33}));
  EXPECT_EQ(split_by_largest_remainder(-100, {1, 1, 1}),
            (std::vector<std::int64_t>{-34, -33, -33}));
  EXPECT_EQ(split_by_largest_remainder(5, {0, 3, 7}), (std::vector<std::int64_t>{0, 2, 3}));
}

TEST(HalfEven, RoundsTiesToTheEvenNeighbour) {
  EXPECT_EQ(scale_half_even(25, 1, 10), 2);
  EXPECT_EQ(scale_half_even(35, 1, 10), 4);
  EXPECT_EQ(scale_half_even(-25, 1, 10), -2);
  EXPECT_EQ(scale_half_even(26, 1, 10), 3);
  EXPECT_EQ(scale_half_even(1000, 19, 100), 190);
  EXPECT_FALSE(scale_half_even(std::numeric_limits<std::int64_t>::max(), 2, 1));
}

}  // namespace
}  // namespace stoa
