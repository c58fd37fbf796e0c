#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/product-service/domain/product.hpp"
#include "services/product-service/domain/reservation.hpp"
#include "services/product-service/domain/shopify.hpp"

// What importing a product changes. Pure: the batch reads before and writes after.
namespace stoa::product {

/// What the shop has before a batch, read and locked in the batch's transaction.
struct ShopBefore {
  std::map<std::string, Product> products{};      ///< by handle, of the batch's handles
  std::map<VariantId, StockLevel> stock{};        ///< of their variants
  std::map<std::string, ProductId> sku_owners{};  ///< of the batch's SKUs, whoever has them
};

struct NewStock {
  VariantId variant{};
  std::int64_t on_hand = 0;
};

struct StockChange {
  VariantId variant{};
  std::int64_t delta = 0;  ///< not 0
};

struct PlannedProduct {
  enum class Kind { created, updated, unchanged };
  Kind kind = Kind::unchanged;
  Product product{};
  std::vector<VariantId> new_variants{};
  std::vector<NewStock> new_stock{};         ///< one for each new variant
  std::vector<StockChange> stock_changes{};  ///< only with set_stock
};

struct ImportRules {
  Currency currency;
  bool set_stock = false;  ///< quantities of variants that exist count, too
  Instant now{};
  std::function<ProductId()> next_product_id{};
  std::function<VariantId()> next_variant_id{};
};

/// Merges `imported` into what is there: columns of the file replace, columns it does not have
/// stay; a variant is found by its SKU, else by its options; variants the file does not name stay.
/// `before` becomes what the shop has afterwards: a handle that comes again later in the batch
/// meets what this one made of it. Empty when the product is refused: the reasons are appended to
/// `imported.problems`.
std::optional<PlannedProduct> plan(ImportedProduct& imported, ShopBefore& before,
                                   const ImportRules& rules);

}  // namespace stoa::product
