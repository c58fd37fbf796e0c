#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "servicekit/core/list_total.hpp"

namespace stoa::json {

/// ListTotal on the wire: `{"value": 10000, "relation": "at_least"}`, or "exact".
struct ListTotalJson {
  std::int64_t value = 0;
  std::string relation;
};

inline std::optional<ListTotalJson> to_json(const std::optional<ListTotal>& total) {
  if (!total) return std::nullopt;
  return ListTotalJson{.value = total->count, .relation = total->exact ? "exact" : "at_least"};
}

}  // namespace stoa::json
