#include "servicekit/core/list_total.hpp"

#include <gtest/gtest.h>

namespace stoa {
namespace {

TEST(ListTotal, IsExactUpToWhatIsCounted) {
  EXPECT_EQ(ListTotal::of(0), (ListTotal{.count = 0, .exact = true}));
  EXPECT_EQ(ListTotal::of(10'000), (ListTotal{.count = 10'000, .exact = true}));
  EXPECT_EQ(ListTotal::of(list_count_limit), (ListTotal{.count = 10'000, .exact = false}));
}

}  // namespace
}  // namespace stoa
