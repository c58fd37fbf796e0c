#include "services/product-service/domain/csv.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace stoa::product {
namespace {

/// Every item of `text`, pushed in pieces of `piece` bytes.
std::vector<CsvItem> read(const std::string& text, std::size_t piece = 64 * 1024,
                          CsvPosition start = {}) {
  CsvReader reader{start};
  std::vector<CsvItem> items;
  const auto drain = [&] {
    while (auto item = reader.next()) items.push_back(std::move(*item));
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    reader.push(std::string_view{text}.substr(at, piece));
    drain();
  }
  reader.finish();
  drain();
  return items;
}

const CsvRecord& record(const CsvItem& item) { return std::get<CsvRecord>(item); }
const CsvProblem& problem(const CsvItem& item) { return std::get<CsvProblem>(item); }

struct Reading {
  const char* name;
  std::string text;
  std::vector<std::vector<std::string>> records;
};

class CsvReads : public testing::TestWithParam<Reading> {};

TEST_P(CsvReads, TheSameInPiecesOfEverySize) {
  for (const std::size_t piece : {1UL, 2UL, 3UL, 7UL, 65'536UL}) {
    const auto items = read(GetParam().text, piece);

    ASSERT_EQ(items.size(), GetParam().records.size()) << "in pieces of " << piece;
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(record(items[i]).fields, GetParam().records[i]) << "in pieces of " << piece;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CsvReads,
    testing::Values(Reading{"Nothing", "", {}}, Reading{"OneField", "a", {{"a"}}},
                    Reading{"LineFeeds", "a,b\nc,d\n", {{"a", "b"}, {"c", "d"}}},
                    Reading{"CarriageReturnLineFeeds", "a,b\r\nc,d\r\n", {{"a", "b"}, {"c", "d"}}},
                    Reading{"CarriageReturns", "a,b\rc,d\r", {{"a", "b"}, {"c", "d"}}},
                    Reading{"ByteOrderMark",
                            "\xEF\xBB\xBF"
                            "a,b\n",
                            {{"a", "b"}}},
                    Reading{"EmptyLines", "\n\na\n\r\n\nb\n\n", {{"a"}, {"b"}}},
                    Reading{"EmptyFields", ",,\na,,\n", {{"", "", ""}, {"a", "", ""}}},
                    Reading{"Quotes", "\"a\",\"b\"\n", {{"a", "b"}}},
                    Reading{"QuotedQuotes", "\"12\"\" pipe\",\"\"\"\"\n", {{"12\" pipe", "\""}}},
                    Reading{"QuotedCommas", "\"a,b\",c\n", {{"a,b", "c"}}},
                    Reading{"QuotedNewlines", "\"a\nb\r\nc\",d\n", {{"a\nb\r\nc", "d"}}},
                    Reading{"BareQuoteInside", "12\" pipe,b\n", {{"12\" pipe", "b"}}},
                    Reading{"NoLastLineEnd", "a,b\nc,\"d\"", {{"a", "b"}, {"c", "d"}}},
                    Reading{"Formulas", "=1+1,@x,+y,-z\n", {{"=1+1", "@x", "+y", "-z"}}}),
    [](const auto& reading) { return reading.param.name; });

TEST(Csv, TellsTheLineOfEveryField) {
  const auto items = read("h\n\"a\nb\",c,\"d\ne\"\nf\n");

  EXPECT_EQ(record(items[1]).line, 2);
  EXPECT_EQ(record(items[1]).field_lines, (std::vector<std::int64_t>{2, 3, 3}));
  EXPECT_EQ(record(items[2]).line, 5);
}

TEST(Csv, GoesOnFromTheEndOfAnyRecord) {
  const std::string text = "h1,h2\n\"a\nb\",c\r\n\nd,e\nf,g";
  const auto all = read(text);

  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const CsvPosition end = record(all[i]).end;
    const auto rest = read(text.substr(end.byte), 3, end);
    ASSERT_EQ(rest.size(), all.size() - i - 1);
    EXPECT_EQ(record(rest.front()).fields, record(all[i + 1]).fields);
    EXPECT_EQ(record(rest.front()).line, record(all[i + 1]).line);
  }
}

TEST(Csv, LosesOnlyTheLineOfAnUnterminatedQuote) {
  const auto items = read("a,1\n\"b,2\nc,3\nd,4\n");

  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(problem(items[1]).code, "unterminated_quote");
  EXPECT_EQ(problem(items[1]).line, 2);
  EXPECT_EQ(record(items[2]).fields.front(), "c");
  EXPECT_EQ(record(items[3]).fields.front(), "d");
}

TEST(Csv, LosesTheWholeLineOfAStrayQuoteInPiecesOfEverySize) {
  for (const std::string_view line_end : {"\n", "\r\n", "\r"}) {
    std::string text = "tea,\"a\"b,never,a,row";
    text.append(line_end).append("pot,1").append(line_end);
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      const auto items = read(text, piece);

      ASSERT_EQ(items.size(), 2U) << "in pieces of " << piece;
      EXPECT_EQ(problem(items[0]).code, "stray_quote");
      EXPECT_EQ(record(items[1]).fields, (std::vector<std::string>{"pot", "1"}));
      EXPECT_EQ(record(items[1]).line, 2) << "in pieces of " << piece;
    }
  }
}

TEST(Csv, LosesOnlyTheLineOfAQuoteThatTheNextRowCloses) {
  const auto items = read("a,1\nb,\"2\nc,\"3\"\nd,4\n");

  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(problem(items[1]).code, "stray_quote");
  EXPECT_EQ(problem(items[1]).first_field, "b");
  EXPECT_EQ(problem(items[1]).field, 1U);
  EXPECT_EQ(record(items[2]).fields, (std::vector<std::string>{"c", "3"}));
}

struct Refusal {
  const char* name;
  std::string row;
  std::string_view code;
};

class CsvRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CsvRefuses, OneRowAndReadsTheNext) {
  const auto items = read("h\n" + GetParam().row + "\nlast,1\n");

  ASSERT_GE(items.size(), 3U);
  EXPECT_EQ(problem(items[1]).code, GetParam().code);
  EXPECT_EQ(problem(items[1]).line, 2);
  EXPECT_EQ(record(items.back()).fields, (std::vector<std::string>{"last", "1"}));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, CsvRefuses,
    testing::Values(Refusal{"Nul", std::string{"a,b\0c", 5}, "invalid_character"},
                    Refusal{"BadUtf8", "a,\xFF\xFE", "invalid_utf8"},
                    Refusal{"TenThousandColumns", std::string(10'000, ','), "too_many_columns"},
                    Refusal{"FieldTooLong", "a," + std::string(csv_field_bytes_max + 1, 'x'),
                            "field_too_long"},
                    Refusal{"RecordTooLong",
                            std::string(400'000, 'x') + "," + std::string(400'000, 'y') + "," +
                                std::string(400'000, 'z'),
                            "record_too_long"}),
    [](const auto& refusal) { return refusal.param.name; });

TEST(Csv, TakesAFieldOfExactlyTheLimit) {
  const auto items = read("a," + std::string(csv_field_bytes_max, 'x') + "\n");

  EXPECT_EQ(record(items.front()).fields[1].size(), csv_field_bytes_max);
}

TEST(Csv, HoldsNoMoreThanARecordOfAnEndlessQuote) {
  const auto items = read("a\n\"" + std::string(3 * csv_record_bytes_max, 'x') + "\nlast\n");

  EXPECT_EQ(problem(items[1]).code, "unterminated_quote");
  EXPECT_EQ(record(items.back()).fields.front(), "last");
}

}  // namespace
}  // namespace stoa::product
