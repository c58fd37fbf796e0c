#include <gtest/gtest.h>

#include "servicekit/json/json.hpp"
#include "servicekit/json/list_total.hpp"

namespace stoa::json {
namespace {

struct PageJson {
  std::optional<ListTotalJson> total;
};

std::string written(std::optional<ListTotal> total) {
  return write(PageJson{.total = to_json(total)});
}

TEST(ListTotalJson, SaysWhetherThereAreMore) {
  EXPECT_EQ(written(ListTotal{.count = 3}), R"({"total":{"value":3,"relation":"exact"}})");
  EXPECT_EQ(written(ListTotal{.count = 10'000, .exact = false}),
            R"({"total":{"value":10000,"relation":"at_least"}})");
  EXPECT_EQ(written(std::nullopt), "{}") << "nobody asked";
}

}  // namespace
}  // namespace stoa::json
