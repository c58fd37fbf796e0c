#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::json {
namespace {

TEST(MoneyJson, GoesThereAndBack) {
  const Money price{1299, currencies::eur};
  EXPECT_EQ(write(to_json(price)), R"({"amount":1299,"currency":"EUR"})");
  EXPECT_EQ(to_money(*read<MoneyJson>(R"({"currency":"EUR","amount":1299})")), price);
}

TEST(MoneyJson, TellsEachWrongMemberWithItsPointer) {
  std::vector<FieldError> errors;
  EXPECT_FALSE(
      to_money({.amount = Money::wire_max + 1, .currency = "eur"}, "/lines/0/total", errors));
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].pointer, "/lines/0/total/currency");
  EXPECT_EQ(errors[0].code, "unknown_currency");
  EXPECT_EQ(errors[1].pointer, "/lines/0/total/amount");
  EXPECT_EQ(errors[1].code, "out_of_range");
}

TEST(MoneyJson, AllowsTheBordersOfTheWire) {
  EXPECT_TRUE(to_money({.amount = Money::wire_max, .currency = "JPY"}));
  EXPECT_TRUE(to_money({.amount = -Money::wire_max, .currency = "JPY"}));
  EXPECT_EQ(to_money({.amount = -Money::wire_max - 1, .currency = "JPY"}).error().code,
            "invalid_body");
}

}  // namespace
}  // namespace stoa::json
