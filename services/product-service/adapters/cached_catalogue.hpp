#pragma once

#include <optional>
#include <string>
#include <vector>

#include "servicekit/redis/redis.hpp"

#include "services/product-service/app/catalogue.hpp"

namespace stoa::product {

/// A product as readers get it.
struct RenderedProduct {
  Status status = Status::active;
  std::string etag{};
  std::string body{};
};

/// Rendered products and list pages in Redis; without one, straight from the database.
///
/// A product's entry is removed after each commit that changes what it says: edits, and a variant
/// selling out or coming back. Pages carry a generation in their key: any such commit removes the
/// generation, and the next reader starts another, so that a page made before is never read again.
/// A page loaded by a reader that had taken the old generation is stored under the old one.
class CachedCatalogue final : public CatalogueCache {
 public:
  /// `cache` may be null: no Redis is configured.
  CachedCatalogue(Catalogue* catalogue, redis::Cache* cache)
      : catalogue_{catalogue}, cache_{cache} {}
  /// Made before its catalogue, which tells it what to forget.
  void read_from(Catalogue& catalogue) { catalogue_ = &catalogue; }

  Task<std::optional<RenderedProduct>> product(Context context, ProductId id);

  /// The text of a page. `name` tells the query from every other; `render` makes the text.
  using Render = std::function<std::string(const ProductPage&)>;
  Task<std::string> page(Context context, ListQuery query, std::string name, Render render);

  Task<> forget(Context context, std::vector<ProductId> products) override;

 private:
  Task<std::optional<std::string>> load_product(Context context, ProductId id);
  Task<std::optional<std::string>> load_page(Context context, ListQuery query, Render render);

  Catalogue* catalogue_;
  redis::Cache* cache_;
};

}  // namespace stoa::product
