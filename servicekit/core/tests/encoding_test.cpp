#include "servicekit/core/encoding.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace stoa {
namespace {

TEST(Base64Url, AgreesWithRfc4648) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg");
  EXPECT_EQ(base64url("fo"), "Zm8");
  EXPECT_EQ(base64url("foo"), "Zm9v");
  EXPECT_EQ(base64url("\xFB\xFF"), "-_8");
  EXPECT_EQ(parse_base64url("Zm8"), "fo");
}

TEST(Base64Url, RefusesASecondSpellingOfTheSameBytes) {
  EXPECT_FALSE(parse_base64url("Zh"));
  EXPECT_FALSE(parse_base64url("Zg=="));
  EXPECT_FALSE(parse_base64url("Z"));
  EXPECT_FALSE(parse_base64url("Zm+v"));
}

TEST(Percent, DecodesOrRefuses) {
  EXPECT_EQ(percent_decode("a%20b+c"), "a b+c");
  EXPECT_FALSE(percent_decode("%2"));
  EXPECT_FALSE(percent_decode("%zz"));
}

TEST(Utf8, KnowsTheBordersOfTheTable) {
  EXPECT_TRUE(valid_utf8("plain, \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x8D\xB5"));
  EXPECT_FALSE(valid_utf8("\xC0\x80"));
  EXPECT_FALSE(valid_utf8("\xED\xA0\x80"));
  EXPECT_FALSE(valid_utf8("\xF4\x90\x80\x80"));
  EXPECT_FALSE(valid_utf8("\xE2\x82"));
  EXPECT_FALSE(valid_utf8("\x80"));
}

TEST(Utf8, SeesABadByteAtEveryPlaceOfAWord) {
  for (std::size_t at = 0; at < 24; ++at) {
    std::string text(24, 'a');
    text[at] = '\x80';
    EXPECT_FALSE(valid_utf8(text)) << at;
  }
}

TEST(Hex, IsLowerCase) {
  const std::array<std::uint8_t, 2> bytes{0x0F, 0xA0};
  EXPECT_EQ(hex(bytes), "0fa0");
}

}  // namespace
}  // namespace stoa
