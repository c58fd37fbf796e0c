#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/encoding.hpp"
#include "servicekit/json/json.hpp"

// Documents with a few bytes changed at random, from a fixed seed: whatever comes in is either
// refused or read as what it says. The sanitizers of CI watch.
namespace stoa::json {
namespace {

using namespace std::string_view_literals;

struct Line {
  std::string sku;
  std::int32_t quantity = 0;
  std::optional<double> weight;
};

struct Document {
  std::vector<Line> lines;
  std::map<std::string, std::vector<std::string>> options;
  Raw extra;
  Patch<bool> gift;
};

constexpr std::string_view seed_document =
    R"({"lines":[{"sku":"A-1 \u00e9\ud83c\udf75","quantity":-12,"weight":1.5e-3},)"
    R"({"sku":"\"\\\n","quantity":2147483647}],"options":{"size":["S","M"],"":[]},)"
    R"("extra":{"a":[1,2,{"b":null}]},"gift":null})";
constexpr int rounds = 50'000;

std::string mutated(std::mt19937& random) {
  constexpr auto alphabet = "{}[]\",:\\/u0123456789eE+-.tfn \x80\xC3\xFF\x00"sv;
  std::string text{seed_document};
  const int changes = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < changes; ++i) {
    const std::size_t at = random() % text.size();
    switch (random() % 3) {
      case 0:
        text[at] = alphabet[random() % alphabet.size()];
        break;
      case 1:
        text.erase(at, 1 + random() % 8);
        break;
      default:
        text.insert(at, text.substr(random() % text.size(), random() % 16));
    }
    if (text.empty()) text = "0";
  }
  return text;
}

TEST(Mutation, IsRefusedOrReadAsWhatItSays) {
  std::mt19937 random{20261122};
  int read_back = 0;
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string text = mutated(random);
    const auto document = read_lenient<Document>(text);
    if (!document) {
      ++refused;
      EXPECT_FALSE(document.error().code.empty());
      continue;
    }
    ++read_back;
    const std::string written = write(*document);
    ASSERT_TRUE(valid_utf8(written)) << text;
    const auto again = read<Document>(written);
    ASSERT_TRUE(again) << text << "\n" << written;
    ASSERT_EQ(write(*again), written) << text;
  }
  EXPECT_GT(read_back, rounds / 100) << "the mutations are too coarse to prove anything";
  EXPECT_GT(refused, rounds / 100);
}

TEST(Mutation, HasACanonicalFormThatIsItsOwn) {
  std::mt19937 random{7};
  int canonical_ones = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto once = canonical(mutated(random));
    if (!once) continue;
    ++canonical_ones;
    const auto twice = canonical(*once);
    ASSERT_TRUE(twice) << *once;
    ASSERT_EQ(*twice, *once);
  }
  EXPECT_GT(canonical_ones, rounds / 100);
}

}  // namespace
}  // namespace stoa::json
