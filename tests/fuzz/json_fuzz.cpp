// The reader itself: what it takes it can write and take again, and the canonical form of a text is
// its own canonical form (RFC 8785); fingerprints hang on that.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "servicekit/json/json.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace {

struct Line {
  std::string sku;
  std::int32_t quantity = 0;
  std::optional<double> weight;
};

struct Document {
  std::vector<Line> lines;
  std::map<std::string, std::vector<std::string>> options;
  stoa::json::Raw extra;
  stoa::json::Patch<bool> gift;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  const std::string_view input = fuzz::text_of(data, size);
  if (const auto canonical = json::canonical(input)) {
    const auto again = json::canonical(*canonical);
    require(again && *again == *canonical, "the canonical form is canonical");
  }
  const auto lenient = json::read_lenient<Document>(input);
  const auto document = json::read<Document>(input);
  require(!document || lenient, "what is taken strictly is taken leniently");
  if (!document) {
    require(document.error().code == "malformed_json" || document.error().code == "invalid_body",
            "a refusal says what is wrong");
    return 0;
  }
  for (const Line& line : document->lines) {
    require(!line.weight || std::isfinite(*line.weight), "a number is one");
  }
  const std::string written = json::write(document->lines);
  const auto again = json::read<std::vector<Line>>(written);
  require(again && json::write(*again) == written, "what was read can be written and read");
  return 0;
}
