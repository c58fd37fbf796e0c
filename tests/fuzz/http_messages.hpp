#pragma once

#include <format>
#include <string>
#include <string_view>

#include "servicekit/core/require.hpp"
#include "servicekit/testing/told_messages.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace stoa::fuzz {

/// Bytes from outside, cut where their first says: read in two pieces they are the same messages,
/// and end in the same way, as in one.
inline std::string_view same_however_split(http::detail::Parser::Kind kind,
                                           std::string_view input) {
  constexpr std::size_t body_max = 4'096;
  const auto verdict = [&](std::size_t split) {
    http::detail::Parser parser{kind, {}};
    const auto [messages, refused] = testing_support::told_in_two(parser, input, split, body_max);
    if (refused != 0) return std::format("{}bad {}", messages, refused);
    return messages + (parser.finish() ? "ended" : "more");
  };
  const std::size_t choice = take_choice(input);
  const std::size_t split = input.empty() ? 0 : choice % input.size();
  require(verdict(split) == verdict(input.size()),
          "a message is the same however its bytes arrive");
  return input;
}

}  // namespace stoa::fuzz
