#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/json/json.hpp"

namespace stoa::json {
namespace {

struct NumberCase {
  std::uint64_t bits;
  const char* text;
};

// RFC 8785 appendix B.
TEST(Canonical, PrintsNumbersAsEcmaScript) {
  const std::vector<NumberCase> cases{
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
  };
  for (const auto& [bits, text] : cases) {
    EXPECT_EQ(write(std::bit_cast<double>(bits)), text);
    EXPECT_EQ(canonical(text), text);
  }
}

// RFC 8785 section 3.2.2.
TEST(Canonical, SerialisesTheExampleOfTheStandard) {
  const auto text = canonical(R"({
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  })");
  EXPECT_EQ(text,
            "{\"literals\":[null,true,false],"
            "\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
            "\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

// RFC 8785 section 3.2.3: the emoji, a surrogate pair in UTF-16, comes before U+FB33.
TEST(Canonical, SortsMembersByUtf16CodeUnits) {
  EXPECT_EQ(canonical(R"({
              "\u20ac": "Euro Sign", "\r": "Carriage Return",
              "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
              "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
              "\u00f6": "Latin Small Letter O With Diaeresis"
            })"),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
            "\"\xC3\xB6\":\"Latin Small Letter O With Diaeresis\",\"\xE2\x82\xAC\":\"Euro Sign\","
            "\"\xF0\x9F\x98\x80\":\"Emoji: Grinning Face\","
            "\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

TEST(Canonical, SortsAtEveryLevelAndShorterFirst) {
  EXPECT_EQ(canonical(R"([{"b":{"z":1,"a":2},"":0,"ab":1,"a":[]}])"),
            R"([{"":0,"a":[],"ab":1,"b":{"a":2,"z":1}}])");
}

TEST(Canonical, GivesOneTextForOneValue) {
  EXPECT_EQ(*canonical(R"({"a":1.0,"b":"\u0041"})"), *canonical(R"( { "b" : "A", "a" : 1e0 } )"));
  EXPECT_NE(*canonical(R"({"a":1})"), *canonical(R"({"a":"1"})"));
}

TEST(Canonical, RefusesWhatHasNoCanonicalForm) {
  EXPECT_EQ(canonical("{").error().code, "malformed_json");
  EXPECT_EQ(canonical("1e400").error().code, "malformed_json");
  EXPECT_EQ(canonical(R"({"a":1,"a":1})").error().code, "malformed_json");
  EXPECT_EQ(canonical("123456789012345678901234567890"), "1.2345678901234568e+29");
}

}  // namespace
}  // namespace stoa::json
