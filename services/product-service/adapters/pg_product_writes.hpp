#pragma once

#include <string>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/domain/import_plan.hpp"

// What writing products takes, one product or two hundred alike. All of it runs in a transaction
// that has begun with lock_catalogue().
namespace stoa::product {

/// Writers of the catalogue take turns, so that handles and SKUs looked up in a transaction are
/// still free when it writes them. Readers and reservations do not notice.
postgres::Query lock_catalogue();

/// Rows: sku, product_id.
postgres::Query find_sku_owners(const std::vector<std::string>& skus);

/// What the stock journal says of new units.
struct StockOrigin {
  std::string_view kind;  ///< initial, import
  std::string actor;
  std::optional<Uuid> import_id{};
};

/// The statements that store the planned products, in order; those unchanged are skipped.
/// `event_ids` has one id for each product.
std::vector<postgres::Query> write_products(const std::vector<PlannedProduct>& planned,
                                            const StockOrigin& origin,
                                            const std::vector<Uuid>& event_ids,
                                            const std::optional<std::string>& traceparent);

}  // namespace stoa::product
