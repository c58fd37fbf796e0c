#pragma once

#include <string_view>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/domain/product.hpp"

namespace stoa::product {

/// The columns of a product (p) and a variant (v) with its stock (s), in the order that
/// read_products() takes them.
inline constexpr std::string_view listed_columns =
    "p.id, p.handle, p.name, p.category, p.vendor, p.tags, p.image_url, p.status, p.version,"
    " (extract(epoch FROM p.created_at) * 1000)::bigint,"
    " (extract(epoch FROM p.updated_at) * 1000)::bigint,"
    " v.id, v.sku, v.options, v.title,"
    " (SELECT string_agg(a.currency || ':' || a.amount_minor, ',' ORDER BY a.currency)"
    "  FROM prices a WHERE a.variant_id = v.id),"
    " s.on_hand > s.reserved";
/// Long, and the same for every variant: sent once. Follows listed_columns.
inline constexpr std::string_view description_column =
    ", CASE v.position WHEN 0 THEN p.description ELSE '' END";
inline constexpr int listed_column_count = 17;

enum class Described : std::uint8_t { yes, no };  ///< whether the rows hold the description

/// One row a variant, those of a product together and in their order.
std::vector<Product> read_products(const postgres::Rows& rows, Described described);

}  // namespace stoa::product
