#include "servicekit/auth/token_check.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stoa::auth {
namespace {

TEST(VerifiedTokens, KeepsWhatIsInUseAndNoMoreThanItsBound) {
  detail::VerifiedTokens tokens{100};
  const auto in_use = crypto::sha256("in use");
  tokens.put(in_use, {});
  for (int i = 0; i < 10'000; ++i) {
    tokens.put(crypto::sha256(std::to_string(i)), {});
    ASSERT_NE(tokens.find(in_use), nullptr);
    ASSERT_LE(tokens.size(), 102U);
  }
  EXPECT_EQ(tokens.find(crypto::sha256("0")), nullptr);
  tokens.clear();
  EXPECT_EQ(tokens.find(in_use), nullptr);
}

}  // namespace
}  // namespace stoa::auth
