#pragma once

#include <string>

#include "servicekit/http/server.hpp"

#include "services/product-service/adapters/cursor.hpp"
#include "services/product-service/app/ports.hpp"

namespace stoa::product {

inline constexpr std::int64_t page_limit_max = 100;
inline constexpr std::int64_t page_limit_default = 20;
inline constexpr std::size_t search_words_max = 8;
inline constexpr std::size_t search_bytes_max = 200;

/// A list as its query string asks for it, and its name: sort and filters, the same for all of its
/// pages.
struct NamedListQuery {
  ListQuery query;
  std::string name;
  bool finds_nothing = false;  ///< searched for, but not a word in it
};

/// Errors (malformed): unknown_parameter, malformed_query, bad_parameter, bad_cursor.
Result<NamedListQuery> parse_list_query(const http::Request& request, const Cursors& cursors,
                                        Currency default_currency);

/// Lower-case words of letters and digits; everything else only separates them.
std::vector<std::string> words_of(std::string_view text);

}  // namespace stoa::product
