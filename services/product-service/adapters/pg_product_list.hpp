#pragma once

#include "servicekit/postgres/database.hpp"

#include "services/product-service/app/ports.hpp"

// The public list and the search: active products, a page by keyset, each order from an index.
namespace stoa::product {

/// A search ranks at most this many of the products that match.
inline constexpr std::int64_t search_hits_max = 200;

/// The statement of one page and one product more, which tells whether there is another page.
postgres::Query list_products(const ListQuery& query);

/// The products of list_products() up to `limit`.
ProductPage read_page(const postgres::Rows& rows, std::size_t limit);

/// How many products all pages hold together, up to list_count_limit, or to search_hits_max. The
/// page's place in the list is no matter.
postgres::Query count_products(const ListQuery& query);
ListTotal read_total(const postgres::Rows& rows, Sort sort);

}  // namespace stoa::product
