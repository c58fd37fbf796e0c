#pragma once

#include <algorithm>
#include <cstdint>

namespace stoa {

/// How far the members of a list are counted: beyond it a number helps nobody and costs.
inline constexpr std::int64_t list_counted_max = 10'000;
/// LIMIT of what a statement counts: one more tells that there are more.
inline constexpr std::int64_t list_count_limit = list_counted_max + 1;

/// How many members all pages of a list hold together.
struct ListTotal {
  std::int64_t count = 0;
  bool exact = true;  ///< false: there are, or may be, more than were counted

  /// Of a count up to list_count_limit.
  static constexpr ListTotal of(std::int64_t counted) {
    return {.count = std::min(counted, list_counted_max), .exact = counted <= list_counted_max};
  }

  friend bool operator==(const ListTotal&, const ListTotal&) = default;
};

}  // namespace stoa
