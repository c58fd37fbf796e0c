#include "servicekit/redis/pending_invalidations.hpp"

#include <format>

#include <gtest/gtest.h>

namespace stoa::redis::detail {
namespace {

TEST(PendingInvalidations, KeepsAKeyUntilItsRemovalIsConfirmed) {
  PendingInvalidations pending;
  EXPECT_TRUE(pending.empty());
  const auto batch = pending.mark({"a", "b"});
  EXPECT_TRUE(pending.contains("a"));
  EXPECT_FALSE(pending.contains("c"));
  pending.confirm(batch);
  EXPECT_FALSE(pending.contains("a"));
  EXPECT_TRUE(pending.empty());
}

TEST(PendingInvalidations, KeepsAKeyThatWasMarkedAgain) {
  PendingInvalidations pending;
  const auto first = pending.mark({"a"});
  const auto second = pending.mark({"a"});
  pending.confirm(first);
  EXPECT_TRUE(pending.contains("a"));
  pending.confirm(second);
  EXPECT_FALSE(pending.contains("a"));
}

TEST(PendingInvalidations, TrustsNothingOnceItOverflowed) {
  PendingInvalidations pending;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < PendingInvalidations::keys_max; ++i) {
    keys.push_back(std::format("k{}", i));
  }
  const auto fits = pending.mark(keys);
  EXPECT_FALSE(pending.contains("other"));
  EXPECT_FALSE(pending.all().everything);
  const auto too_many = pending.mark({"one more"});
  EXPECT_TRUE(pending.contains("other"));
  pending.confirm(fits);
  pending.confirm(too_many);
  EXPECT_TRUE(pending.contains("other")) << "only a flush of everything can be right";
  const auto all = pending.all();
  EXPECT_TRUE(all.everything);
  pending.confirm(all);
  EXPECT_FALSE(pending.contains("other"));
}

TEST(PendingInvalidations, RepairsEverythingThatWaits) {
  PendingInvalidations pending;
  pending.mark({"a"});
  pending.mark({"b"});
  const auto batch = pending.all();
  EXPECT_EQ(batch.keys.size(), 2U);
  pending.mark({"b"});
  pending.confirm(batch);
  EXPECT_FALSE(pending.contains("a"));
  EXPECT_TRUE(pending.contains("b"));
}

}  // namespace
}  // namespace stoa::redis::detail
