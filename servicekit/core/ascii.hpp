#pragma once

#include <algorithm>
#include <string>
#include <string_view>

// Letters of ASCII without case: how HTTP (RFC 9110) and SMTP (RFC 5321) compare names. Other bytes
// stay as they are, whatever the locale.
namespace stoa {

constexpr char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline std::string lower_case(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = lower_case(c);
  return out;
}

constexpr bool equal_ignoring_case(std::string_view one, std::string_view other) {
  return std::ranges::equal(one, other,
                            [](char a, char b) { return lower_case(a) == lower_case(b); });
}

constexpr bool starts_ignoring_case(std::string_view text, std::string_view beginning) {
  return equal_ignoring_case(text.substr(0, beginning.size()), beginning);
}

}  // namespace stoa
