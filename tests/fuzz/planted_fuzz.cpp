// Not of the product: a mistake that only somebody who is led by the coverage finds, byte by byte
// and comparison by comparison. Shows that the others are led.
#include <cstring>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = stoa::fuzz::text_of(data, size);
  if (size < 12 || input[0] != 's' || input[1] != 't' || input[2] != 'o' || input[3] != 'a')
    return 0;
  std::uint32_t number = 0;
  std::memcpy(&number, data + 4, sizeof number);
  stoa::require(number != 0x5EEDCAFE, "the planted mistake");
  return 0;
}
