#pragma once

#include <format>
#include <string>
#include <string_view>

#include "servicekit/http/detail/parser.hpp"

namespace stoa::fuzz {

inline constexpr std::size_t http_body_max = 4'096;

inline std::string told(const http::detail::Message& message) {
  std::string text = std::format("{} {} {} {}", message.target(), message.status(),
                                 message.keep_alive(), message.length());
  message.each_header([&](std::string_view name, std::string_view value) {
    text.append("|").append(name).append("=").append(value);
  });
  return text;
}

/// What a parser makes of bytes that arrive in two pieces: messages as read, then how it ended.
inline std::string verdict(http::detail::Parser::Kind kind, std::string_view bytes,
                           std::size_t split) {
  using http::detail::Parser;
  Parser parser{kind, {}};
  std::string text;
  std::size_t start = 0;
  std::size_t parsed = 0;
  std::size_t have = split;
  while (true) {
    std::size_t used = 0;
    const auto step = parser.feed(bytes.data() + start, parsed - start, have - start, used);
    if (step == Parser::Step::bad) {
      return text + std::format("bad {}", parser.refusal().status);
    }
    parsed = start + used;
    if (step == Parser::Step::head) {
      text += told(parser.message());
      parser.expect_body(http_body_max, false);
    } else if (step == Parser::Step::message) {
      text.append(" body ").append(parser.message().body()).append("\n");
      parser.begin_next();
      start = parsed;
    } else if (have < bytes.size()) {
      have = bytes.size();
    } else {
      return text + (parser.finish() ? "ended" : "more");
    }
  }
}

}  // namespace stoa::fuzz
