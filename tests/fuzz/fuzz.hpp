#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "servicekit/core/require.hpp"

// What every target shares. A target is one LLVMFuzzerTestOneInput: it gives the input to the code
// as a hostile peer would, and aborts (require) when the answer breaks what its comment promises.
namespace stoa::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Takes the input's first byte, a choice of the target; 0 when there is none.
inline std::uint8_t take_choice(std::string_view& input) {
  if (input.empty()) return 0;
  const auto choice = static_cast<std::uint8_t>(input.front());
  input.remove_prefix(1);
  return choice;
}

}  // namespace stoa::fuzz
