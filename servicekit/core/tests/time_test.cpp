#include "servicekit/core/time.hpp"

#include <gtest/gtest.h>

namespace stoa {
namespace {

TEST(Rfc3339, WritesMillisecondsAndZ) {
  EXPECT_EQ(rfc3339(Instant{std::chrono::milliseconds{1'795'348'800'123}}),
            "2026-11-22T12:00:00.123Z");
  EXPECT_EQ(rfc3339(Instant{}), "1970-01-01T00:00:00.000Z");
}

TEST(Rfc3339, ReadsOnlyItsOwnForm) {
  EXPECT_EQ(parse_rfc3339("2026-11-22T12:00:00.123Z"),
            Instant{std::chrono::milliseconds{1'795'348'800'123}});
  EXPECT_FALSE(parse_rfc3339("2026-11-22T12:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2026-02-30T12:00:00.000Z"));
  EXPECT_FALSE(parse_rfc3339("2026-11-22T24:00:00.000Z"));
  EXPECT_FALSE(parse_rfc3339("2026-11-22 12:00:00.000Z"));
  EXPECT_FALSE(parse_rfc3339("2026-11-22T12:00:00.0x0Z"));
}

}  // namespace
}  // namespace stoa
