#include "servicekit/core/ascii.hpp"

#include <gtest/gtest.h>

namespace stoa {
namespace {

TEST(Ascii, OnlyLettersHaveACase) {
  EXPECT_EQ(lower_case("A-Z@[`{ \xC3\x89 0"), "a-z@[`{ \xC3\x89 0");
}

TEST(Ascii, ComparesWithoutCase) {
  EXPECT_TRUE(equal_ignoring_case("Content-Length", "content-LENGTH"));
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_FALSE(equal_ignoring_case("te", "tea"));
  // These differ in the bit that tells a letter's case.
  EXPECT_FALSE(equal_ignoring_case("@", "`"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
}

TEST(Ascii, ComparesABeginning) {
  EXPECT_TRUE(starts_ignoring_case("X-User-Id", "x-user-"));
  EXPECT_TRUE(starts_ignoring_case("X-User-", "x-user-"));
  EXPECT_FALSE(starts_ignoring_case("X-User", "x-user-"));
}

}  // namespace
}  // namespace stoa
