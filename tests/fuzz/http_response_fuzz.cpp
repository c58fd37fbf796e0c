// Answers of a neighbour that may be broken or taken over, as our client frames them.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/http_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  using Parser = http::detail::Parser;
  std::string_view input = fuzz::text_of(data, size);
  const std::size_t choice = fuzz::take_choice(input);
  const std::size_t split = input.empty() ? 0 : choice % input.size();
  require(fuzz::verdict(Parser::Kind::response, input, split) ==
              fuzz::verdict(Parser::Kind::response, input, input.size()),
          "a message is the same however its bytes arrive");
  return 0;
}
