#pragma once

#include <cstddef>
#include <format>
#include <string>
#include <string_view>

#include "servicekit/http/detail/parser.hpp"

namespace stoa::testing_support {

struct Told {
  std::string messages;  ///< each as it was read
  int refused = 0;       ///< with which status; 0: the parser would take more
};

inline std::string told(const http::detail::Message& message) {
  std::string text = std::format("{} {} {} {}", message.target(), message.status(),
                                 message.keep_alive(), message.length());
  message.each_header([&](std::string_view name, std::string_view value) {
    text.append("|").append(name).append("=").append(value);
  });
  return text;
}

/// What a parser makes of bytes that arrive in two pieces.
inline Told told_in_two(http::detail::Parser& parser, std::string_view bytes, std::size_t split,
                        std::size_t body_max) {
  using Step = http::detail::Parser::Step;
  Told all;
  std::size_t start = 0;
  std::size_t parsed = 0;
  std::size_t have = split;
  while (true) {
    std::size_t used = 0;
    const auto step = parser.feed(bytes.data() + start, parsed - start, have - start, used);
    if (step == Step::bad) {
      all.refused = parser.refusal().status;
      return all;
    }
    parsed = start + used;
    if (step == Step::head) {
      all.messages += told(parser.message());
      parser.expect_body(body_max, false);
    } else if (step == Step::message) {
      all.messages.append(" body ").append(parser.message().body()).append("\n");
      parser.begin_next();
      start = parsed;
    } else if (have < bytes.size()) {
      have = bytes.size();
    } else {
      return all;
    }
  }
}

}  // namespace stoa::testing_support
