#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "servicekit/json/json.hpp"

namespace stoa::json {
namespace {

struct Line {
  std::string variant_id;
  std::uint32_t quantity = 0;
};

struct Order {
  std::vector<Line> lines;
  std::string currency;
  std::optional<std::string> note;
  bool gift = false;
};

std::vector<FieldError> errors_of(const auto& result) {
  if (result) return {};
  std::vector<FieldError> fields = result.error().fields;
  for (FieldError& field : fields) field.detail.clear();
  return fields;
}

FieldError wrong(std::string pointer, std::string code) {
  return {.pointer = std::move(pointer), .code = std::move(code), .detail = ""};
}

TEST(Read, TakesNestedAggregatesInAnyOrder) {
  const auto order = read<Order>(
      R"({"gift":true,"currency":"EUR","lines":[{"quantity":2,"variant_id":"a"},{"variant_id":"b","quantity":1}]})");
  ASSERT_TRUE(order);
  EXPECT_TRUE(order->gift);
  EXPECT_EQ(order->currency, "EUR");
  ASSERT_EQ(order->lines.size(), 2U);
  EXPECT_EQ(order->lines[1].variant_id, "b");
  EXPECT_EQ(order->lines[0].quantity, 2U);
  EXPECT_FALSE(order->note);
}

TEST(Read, TellsEveryWrongMemberAtOnce) {
  const auto order = read<Order>(
      R"({"lines":[{"variant_id":7,"quantity":-1},{"quantity":1.5}],"price":1,"gift":"yes"})");
  ASSERT_FALSE(order);
  EXPECT_EQ(order.error().kind, ErrorKind::invalid);
  EXPECT_EQ(order.error().code, "invalid_body");
  EXPECT_THAT(
      errors_of(order),
      testing::UnorderedElementsAre(
          wrong("/price", "unknown_member"), wrong("/lines/0/variant_id", "wrong_type"),
          wrong("/lines/0/quantity", "out_of_range"), wrong("/lines/1/variant_id", "required"),
          wrong("/lines/1/quantity", "wrong_type"), wrong("/currency", "required"),
          wrong("/gift", "wrong_type")));
}

TEST(Read, EscapesPointersAsRfc6901) {
  EXPECT_THAT(errors_of(read<Line>(R"({"variant_id":"a","quantity":1,"a/b~c":1})")),
              testing::ElementsAre(wrong("/a~1b~0c", "unknown_member")));
}

TEST(Read, TellsNoMoreThanAFewErrors) {
  std::string text = "{";
  for (int i = 0; i < 1'000; ++i) text += std::format("\"x{}\":1,", i);
  text += R"("variant_id":"a","quantity":1})";
  EXPECT_EQ(errors_of(read<Line>(text)).size(), detail::field_errors_max);
}

TEST(Read, RefusesAnythingButAnObjectForAnAggregate) {
  for (const auto* text : {"[]", "1", "null", "\"a\"", "true"}) {
    EXPECT_THAT(errors_of(read<Line>(text)), testing::ElementsAre(wrong("", "wrong_type"))) << text;
  }
}

struct MalformedCase {
  const char* why;
  std::string text;
};

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Read, RefusesWhatCannotBeParsed) {
  const std::vector<MalformedCase> cases{
      {"nothing", ""},
      {"half a document", R"({"variant_id":)"},
      {"two documents", "{} {}"},
      {"a trailing comma", R"({"variant_id":"a",})"},
      {"a comment", "/* */ {}"},
      {"a member twice", R"({"variant_id":"a","quantity":1,"quantity":2})"},
      {"a member twice by escape", R"({"quantity":1,"qu\u0061ntity":2})"},
      {"an unknown member twice, nested", R"({"x":[{"y":1,"y":1}]})"},
      {"a byte order mark", "\xEF\xBB\xBF{}"},
      {"a lone continuation byte", "{\"variant_id\":\"\x80\"}"},
      {"an overlong form", "{\"variant_id\":\"\xC0\xAF\"}"},
      {"a surrogate in UTF-8", "{\"variant_id\":\"\xED\xA0\x80\"}"},
      {"half an escaped surrogate pair", R"({"variant_id":"\ud800"})"},
      {"an escaped NUL", R"({"variant_id":"a\u0000b"})"},
      {"NUL in a name", R"({"a\u0000b":1})"},
      {"a raw NUL", std::string{"{\"variant_id\":\"a\0b\"}", 20}},
      {"a raw control character", "{\"variant_id\":\"a\nb\"}"},
      {"not a number", R"({"quantity":NaN})"},
      {"a leading zero", R"({"quantity":01})"},
      {"33 levels", nested(33)},
      {"100,000 levels", nested(100'000)},
  };
  for (const auto& [why, text] : cases) {
    const auto line = read<Line>(text);
    ASSERT_FALSE(line) << why;
    EXPECT_EQ(line.error().kind, ErrorKind::malformed) << why;
    EXPECT_EQ(line.error().code, "malformed_json") << why;
    EXPECT_THAT(line.error().fields, testing::IsEmpty()) << why;
  }
}

TEST(Read, AllowsThirtyTwoLevels) {
  EXPECT_EQ(read<Line>(nested(32)).error().code, "invalid_body");
}

TEST(Read, FindsADuplicateAmongManyMembers) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += std::format("\"x{}\":1,", i);
  using Counts = std::map<std::string, int>;
  EXPECT_EQ(read<Counts>(text + R"("y":1})")->size(), 101U);
  EXPECT_EQ(read<Counts>(text + R"("x7":1})").error().code, "malformed_json");
}

template <class T>
struct Holder {
  T value{};
};

template <class T>
std::string outcome(std::string_view number) {
  const auto held = read<Holder<T>>(std::format(R"({{"value":{}}})", number));
  if (!held) return held.error().fields.empty() ? "malformed" : held.error().fields[0].code;
  return std::to_string(held->value);
}

TEST(Read, ChecksTheRangeOfIntegersOnBothSides) {
  EXPECT_EQ(outcome<std::int8_t>("127"), "127");
  EXPECT_EQ(outcome<std::int8_t>("128"), "out_of_range");
  EXPECT_EQ(outcome<std::int8_t>("-128"), "-128");
  EXPECT_EQ(outcome<std::int8_t>("-129"), "out_of_range");
  EXPECT_EQ(outcome<std::uint32_t>("0"), "0");
  EXPECT_EQ(outcome<std::uint32_t>("-1"), "out_of_range");
  EXPECT_EQ(outcome<std::uint32_t>("4294967295"), "4294967295");
  EXPECT_EQ(outcome<std::uint32_t>("4294967296"), "out_of_range");
  EXPECT_EQ(outcome<std::int64_t>("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(outcome<std::int64_t>("9223372036854775808"), "out_of_range");
  EXPECT_EQ(outcome<std::int64_t>("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(outcome<std::int64_t>("-9223372036854775809"), "out_of_range");
  EXPECT_EQ(outcome<std::uint64_t>("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(outcome<std::uint64_t>("18446744073709551616"), "out_of_range");
  EXPECT_EQ(outcome<std::int64_t>("1" + std::string(400, '0')), "out_of_range");
}

TEST(Read, TakesAnIntegralNumberForAnInteger) {
  EXPECT_EQ(outcome<std::int64_t>("2.0"), "2");
  EXPECT_EQ(outcome<std::int64_t>("12e2"), "1200");
  EXPECT_EQ(outcome<std::int64_t>("2.5"), "wrong_type");
  EXPECT_EQ(outcome<std::int64_t>("1e300"), "out_of_range");
  EXPECT_EQ(outcome<std::int64_t>("\"2\""), "wrong_type");
  EXPECT_EQ(outcome<std::int64_t>("true"), "wrong_type");
}

TEST(Read, TakesNumbersAndRefusesInfinity) {
  EXPECT_EQ(read<Holder<double>>(R"({"value":1.5})")->value, 1.5);
  EXPECT_EQ(read<Holder<double>>(R"({"value":-3})")->value, -3.0);
  EXPECT_EQ(outcome<double>("1e999"), "out_of_range");
}

TEST(Read, TakesAnOptionalMemberAbsentNullOrThere) {
  using Optional = Holder<std::optional<std::string>>;
  EXPECT_FALSE(read<Optional>("{}")->value);
  EXPECT_FALSE(read<Optional>(R"({"value":null})")->value);
  EXPECT_EQ(read<Optional>(R"({"value":"x"})")->value, "x");
  EXPECT_THAT(errors_of(read<Optional>(R"({"value":1})")),
              testing::ElementsAre(wrong("/value", "wrong_type")));
}

TEST(Read, TellsAbsentNullAndValueOfAPatchApart) {
  using Patched = Holder<Patch<std::string>>;
  EXPECT_FALSE(read<Patched>("{}")->value.present);
  const auto removed = read<Patched>(R"({"value":null})");
  EXPECT_TRUE(removed->value.present);
  EXPECT_FALSE(removed->value.value);
  const auto set = read<Patched>(R"({"value":"x"})");
  EXPECT_TRUE(set->value.present);
  EXPECT_EQ(set->value.value, "x");
}

TEST(Read, RefusesNullWhereAValueIsRequired) {
  EXPECT_THAT(errors_of(read<Holder<std::string>>(R"({"value":null})")),
              testing::ElementsAre(wrong("/value", "wrong_type")));
}

TEST(Read, KeepsRawTextAndMapsOfAnything) {
  struct Shape {
    Raw data;
    std::map<std::string, std::vector<std::string>> options;
  };
  const auto shape =
      read<Shape>(R"({"data": {"b": [1, null, "x\/"]}, "options": {"size":["S","M"],"hue":[]}})");
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->data.text, R"({"b":[1,null,"x/"]})");
  EXPECT_EQ(shape->options.at("size"), (std::vector<std::string>{"S", "M"}));
  EXPECT_TRUE(shape->options.at("hue").empty());
}

TEST(Read, SpellsKeywordsWithATrailingUnderscore) {
  struct Prices {
    bool default_ = false;
  };
  EXPECT_TRUE(read<Prices>(R"({"default":true})")->default_);
}

TEST(ReadLenient, IgnoresUnknownMembersAndNothingElse) {
  EXPECT_TRUE(read_lenient<Line>(R"({"variant_id":"a","quantity":1,"new":{"deep":[]}})"));
  EXPECT_THAT(errors_of(read_lenient<Line>(R"({"variant_id":1,"new":1})")),
              testing::UnorderedElementsAre(wrong("/variant_id", "wrong_type"),
                                            wrong("/quantity", "required")));
}

TEST(Read, DecodesEscapes) {
  EXPECT_EQ(read<Holder<std::string>>(R"({"value":"\u00e9\ud83c\udf75\n\"\\\/"})")->value,
            "\xC3\xA9\xF0\x9F\x8D\xB5\n\"\\/");
}

}  // namespace
}  // namespace stoa::json
