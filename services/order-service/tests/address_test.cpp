#include "services/order-service/domain/address.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace stoa::order {
namespace {

Address good() {
  return {.name = "Ada Shopper",
          .line1 = "Main Street 1",
          .line2 = "2nd floor",
          .city = "Berlin",
          .region = "BE",
          .postal_code = "10115",
          .country = "DE"};
}

struct Mistake {
  const char* name;
  std::function<void(Address&)> make;
  std::string_view pointer;
  std::string_view code;
};

class AddressWithAMistake : public testing::TestWithParam<Mistake> {};

TEST_P(AddressWithAMistake, IsToldWhere) {
  Address address = good();
  GetParam().make(address);
  const auto errors = check_address(address);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].pointer, GetParam().pointer);
  EXPECT_EQ(errors[0].code, GetParam().code);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, AddressWithAMistake,
    testing::Values(
        Mistake{"NoName", [](Address& a) { a.name = ""; }, "/name", "required"},
        Mistake{"BlankLine", [](Address& a) { a.line1 = " \t"; }, "/line1", "required"},
        Mistake{"EmptySecondLine", [](Address& a) { a.line2 = ""; }, "/line2", "required"},
        Mistake{"TwoLines", [](Address& a) { a.name = "Ada\r\nBcc: x"; }, "/name",
                "invalid_character"},
        Mistake{"LongCity", [](Address& a) { a.city.assign(201, 'x'); }, "/city", "too_long"},
        Mistake{"BlankRegion", [](Address& a) { a.region = " "; }, "/region", "required"},
        Mistake{"LongCode", [](Address& a) { a.postal_code.assign(21, '1'); }, "/postal_code",
                "too_long"},
        Mistake{"NoSuchCountry", [](Address& a) { a.country = "XX"; }, "/country",
                "unknown_country"},
        Mistake{"LowerCase", [](Address& a) { a.country = "de"; }, "/country", "unknown_country"},
        Mistake{"ThreeLetters", [](Address& a) { a.country = "DEU"; }, "/country",
                "unknown_country"}),
    [](const auto& mistake) { return mistake.param.name; });

TEST(Address, IsGoodAtItsEdges) {
  Address address = good();
  address.line2.reset();
  address.region.reset();
  address.name.assign(200, 'x');
  address.postal_code.assign(20, '1');
  EXPECT_TRUE(check_address(address).empty());
}

TEST(Country, IsACodeAndNotTwoHalvesOfTwo) {
  for (const auto* code : {"AD", "DE", "US", "ZW", "GB"}) EXPECT_TRUE(is_country(code)) << code;
  // "ADAE" holds "DA", which is nobody's.
  for (const auto* code : {"DA", "UK", "EU", "", "D"}) EXPECT_FALSE(is_country(code)) << code;
}

}  // namespace
}  // namespace stoa::order
