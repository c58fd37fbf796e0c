#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/json/json.hpp"

namespace stoa::json {
namespace {

struct Line {
  std::string sku;
  std::int64_t quantity = 0;
};

struct Order {
  std::string id;
  std::vector<Line> lines;
  std::optional<std::string> note;
  std::optional<bool> gift;
  std::map<std::string, double> rates;
};

TEST(Write, WritesMembersInTheirOrderAndLeavesEmptyOnesOut) {
  EXPECT_EQ(write(Order{.id = "a",
                        .lines = {{.sku = "x", .quantity = -1}, {.sku = "y", .quantity = 2}},
                        .note = std::nullopt,
                        .gift = false,
                        .rates = {{"b", 0.5}, {"a", 1}}}),
            R"({"id":"a","lines":[{"sku":"x","quantity":-1},{"sku":"y","quantity":2}],)"
            R"("gift":false,"rates":{"a":1,"b":0.5}})");
  EXPECT_EQ(write(Order{}), R"({"id":"","lines":[],"rates":{}})");
}

TEST(Write, LeavesTheFirstMemberOutWithoutAComma) {
  struct Two {
    std::optional<int> first;
    int second = 0;
  };
  EXPECT_EQ(write(Two{.first = std::nullopt, .second = 2}), R"({"second":2})");
  EXPECT_EQ(write(Two{.first = 1, .second = 2}), R"({"first":1,"second":2})");
}

TEST(Write, EscapesWhatMustBeAndNothingElse) {
  EXPECT_EQ(json::quoted("plain \xC3\xA9 \xF0\x9F\x8D\xB5 / \x7F"),
            "\"plain \xC3\xA9 \xF0\x9F\x8D\xB5 / \x7F\"");
  EXPECT_EQ(json::quoted("\"\\\b\f\n\r\t\x01\x1F"), R"("\"\\\b\f\n\r\t\u0001\u001f")");
}

TEST(Write, RepairsTextFromOutside) {
  const auto repaired = [](std::string_view text) {
    std::string out;
    json::append_quoted_lossy(out, text);
    return out;
  };
  EXPECT_EQ(repaired("caf\xC3\xA9\n"), "\"caf\xC3\xA9\\n\"");
  EXPECT_EQ(repaired("caf\xE9\n\xC3\xA9"), "\"caf\xEF\xBF\xBD\\n\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(Write, EscapesAtEveryPlaceOfAWord) {
  for (std::size_t at = 0; at < 24; ++at) {
    std::string text(24, 'a');
    text[at] = '\n';
    const std::string expected =
        '"' + std::string(at, 'a') + "\\n" + std::string(23 - at, 'a') + '"';
    EXPECT_EQ(json::quoted(text), expected) << at;
  }
}

TEST(Write, ReadsBackWhatItWrote) {
  const Order order{.id = std::string("\x01\xE2\x82\xAC\"", 5),
                    .lines = {{.sku = "s", .quantity = std::numeric_limits<std::int64_t>::min()}},
                    .note = "",
                    .gift = std::nullopt,
                    .rates = {{"tiny", 5e-324}}};
  const auto again = read<Order>(write(order));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, order.id);
  EXPECT_EQ(again->lines[0].quantity, order.lines[0].quantity);
  EXPECT_EQ(again->note, "");
  EXPECT_EQ(again->rates, order.rates);
}

TEST(Write, WritesBordersOfIntegers) {
  EXPECT_EQ(write(std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), 0}),
            "[-9223372036854775808,0]");
  EXPECT_EQ(write(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
}

TEST(Write, CopiesRawTextAndWritesPatches) {
  struct Shape {
    Raw data;
    Patch<int> kept;
    Patch<int> removed;
    Patch<int> set;
    std::vector<std::optional<int>> some;
  };
  EXPECT_EQ(write(Shape{.data = {R"({"a":1})"},
                        .kept = {},
                        .removed = {.present = true},
                        .set = {.present = true, .value = 3},
                        .some = {1, std::nullopt}}),
            R"({"data":{"a":1},"removed":null,"set":3,"some":[1,null]})");
}

}  // namespace
}  // namespace stoa::json
