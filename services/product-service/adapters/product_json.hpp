#pragma once

#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"

#include "services/product-service/app/catalogue.hpp"

// The wire form of products: the only file that knows their field names.
namespace stoa::product {

/// Errors: malformed_json; invalid_body (unknown or missing members, wrong types, currencies).
Result<NewProduct> parse_new_product(std::string_view body);
Result<ProductPatch> parse_product_patch(std::string_view body);
Result<VariantPatch> parse_variant_patch(std::string_view body);
Result<std::vector<Money>> parse_prices(std::string_view body);

std::string to_json(const Product& product);
/// `next_cursor` is empty on the last page.
std::string to_json(const ProductPage& page, const std::string& next_cursor);

}  // namespace stoa::product
