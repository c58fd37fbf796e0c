// Requests of anybody, framed by servicekit/http: the same messages however the bytes arrive, and
// nothing taken that could be framed in two ways.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/http_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stoa;
  using Parser = http::detail::Parser;
  const std::string_view input =
      fuzz::same_however_split(Parser::Kind::request, fuzz::text_of(data, size));

  Parser parser{Parser::Kind::request, {}};
  std::size_t used = 0;
  if (parser.feed(input.data(), 0, input.size(), used) != Parser::Step::head) return 0;
  const auto& message = parser.message();
  require(!(message.chunked() && message.has_length()), "a body is framed in one way");
  require(message.count("content-length") <= 1, "a body has one length");
  require(message.count("host") <= 1, "a request is for one host");
  require(message.target().find_first_of(std::string_view{"\r\n\0 ", 4}) == std::string_view::npos,
          "a target holds nothing that ends it");
  return 0;
}
