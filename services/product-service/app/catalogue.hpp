#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// The use cases of the catalogue. Stateless and shared by every event loop; the collaborators
/// must outlive it. Everything waits on the database.
class Catalogue {
 public:
  struct Sources {
    std::function<Uuid()> next_uuid{};
    std::function<Instant()> now{};
    std::function<Answer(const Product&)> render_created{};
  };

  Catalogue(CatalogueStore& store, CatalogueCache& cache, Sources sources)
      : store_{store}, cache_{cache}, sources_{std::move(sources)} {}

  Task<std::optional<Product>> find(Context context, ProductId id);
  Task<ProductPage> list(Context context, ListQuery query);

  struct Create {
    NewProduct product{};  ///< ids and time are filled in here
    std::string actor{};
    std::optional<RequestKey> key{};
  };
  /// Errors: invalid_product, handle_taken, sku_taken, idempotency_key_reused. Repeating a key
  /// returns the first answer, byte for byte.
  Task<Result<Answer>> create(Context context, Create command);

  /// `version` is the one the editor saw; empty: whichever there is.
  /// Errors: product_not_found, etag_mismatch, invalid_product, product_archived, sku_taken.
  Task<Result<Product>> patch(Context context, ProductId id, std::optional<std::int64_t> version,
                              ProductPatch patch);
  Task<Result<Product>> archive(Context context, ProductId id, std::optional<std::int64_t> version);

  /// Errors also: variant_not_found.
  Task<Result<Product>> patch_variant(Context context, VariantId id,
                                      std::optional<std::int64_t> version, VariantPatch patch);
  Task<Result<Product>> set_prices(Context context, VariantId id,
                                   std::optional<std::int64_t> version, std::vector<Money> prices);

 private:
  Task<Result<Product>> change(Context context, ProductId id, std::optional<std::int64_t> version,
                               std::function<Result<Product>(Product)> edit);
  Task<Result<Product>> change_variant(Context context, VariantId id,
                                       std::optional<std::int64_t> version,
                                       std::function<Result<Product>(Product)> edit);

  CatalogueStore& store_;
  CatalogueCache& cache_;
  Sources sources_;
};

}  // namespace stoa::product
