#pragma once

#include <string>
#include <string_view>

#include "services/product-service/app/stock.hpp"

// The wire form of stock: levels, adjustments and the journal.
namespace stoa::product {

struct AdjustmentJson {
  std::int64_t delta = 0;
  std::string reason;
};
/// Errors: malformed_json, invalid_body.
Result<AdjustmentJson> parse_adjustment(std::string_view body);

std::string to_json(const StockLevel& level);
std::string to_json(const MovementPage& page, const std::string& next_cursor);

}  // namespace stoa::product
