#pragma once

#include <functional>
#include <optional>
#include <string>

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

inline constexpr std::size_t reason_bytes_max = 500;

/// What staff do with stock by hand. Shared by every event loop.
class Stock {
 public:
  struct Sources {
    std::function<Uuid()> next_uuid{};
    std::function<Answer(const StockLevel&)> render{};
  };

  Stock(CatalogueStore& keys, StockStore& store, CatalogueCache& cache, Sources sources)
      : keys_{keys}, store_{store}, cache_{cache}, sources_{std::move(sources)} {}

  struct Adjust {
    VariantId variant{};
    std::int64_t delta = 0;
    std::string reason{};
    std::string actor{};
    std::optional<RequestKey> key{};
  };
  /// Errors: variant_not_found, invalid_adjustment, stock_below_reserved, idempotency_key_reused.
  /// Repeating a key returns the first answer, byte for byte. Waits on the database.
  Task<Result<Answer>> adjust(Context context, Adjust command);

  /// Errors: variant_not_found.
  Task<Result<StockLevel>> level(Context context, VariantId id);
  Task<Result<MovementPage>> movements(Context context, ListMovements query);

 private:
  CatalogueStore& keys_;
  StockStore& store_;
  CatalogueCache& cache_;
  Sources sources_;
};

}  // namespace stoa::product
