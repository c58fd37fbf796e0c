#pragma once

#include <string>

#include "servicekit/core/type_id.hpp"

// What this service tells the others: contracts/events/product.updated.json and stock.low.json.
namespace stoa::product {

inline constexpr std::string_view product_updated_type = "product.updated";
inline constexpr std::string_view stock_low_type = "stock.low";

std::string product_updated(ProductId id);

/// A variant has this few units left to sell, or fewer: once each time it gets there.
inline constexpr std::int64_t stock_low_at = 5;
constexpr bool gets_low(std::int64_t available_before, std::int64_t available_after) {
  return available_before > stock_low_at && available_after <= stock_low_at;
}

}  // namespace stoa::product
