// Answers of a neighbour that may be broken or taken over, as our client frames them.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/http_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  fuzz::same_however_split(http::detail::Parser::Kind::response, fuzz::text_of(data, size));
  return 0;
}
