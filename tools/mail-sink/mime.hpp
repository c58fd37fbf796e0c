#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stoa::mail {

/// What a person sees of a message. Text is UTF-8; what was not decodable is left as it came.
struct Mime {
  std::vector<std::pair<std::string, std::string>> headers;  ///< unfolded, RFC 2047 words decoded
  std::string text;                                          ///< the first text/plain part
  std::string html;                                          ///< the first text/html part

  /// The value of the first header of that name (any case), "" when absent.
  std::string_view header(std::string_view name) const;
};

/// Reads a message of RFC 5322 and 2045–2047, leniently: anything becomes a Mime. Nested multiparts
/// are followed to a depth of 8.
Mime parse_mime(std::string_view message);

}  // namespace stoa::mail
