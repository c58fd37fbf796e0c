#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/currency.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

inline const Currency euro = *Currency::parse("EUR");
inline const Currency dollar = *Currency::parse("USD");

inline Instant moment(int minute) { return Instant{std::chrono::minutes{29'900'000 + minute}}; }

template <class Id>
Id new_id() {
  return Id{crypto::new_uuid()};
}

/// A product with one variant for each stock, at 10.00 EUR, 11.00 EUR, …
inline NewProduct new_product(std::string name, std::vector<std::int64_t> stocks) {
  NewProduct product;
  product.id = new_id<ProductId>();
  product.name = std::move(name);
  product.now = moment(0);
  std::int64_t price = 1'000;
  for (const std::int64_t stock : stocks) {
    NewVariant variant;
    variant.id = new_id<VariantId>();
    variant.sku = "SKU-" + variant.id.uuid.str();
    if (stocks.size() > 1) variant.options = {{"Size", std::to_string(product.variants.size())}};
    variant.prices = {Money{price, euro}};
    variant.stock = stock;
    price += 100;
    product.variants.push_back(std::move(variant));
  }
  return product;
}

inline ReserveStock wanted(std::vector<WantedLine> lines, UserId buyer = new_id<UserId>()) {
  return {.id = new_id<ReservationId>(),
          .origin = crypto::new_uuid(),
          .buyer = buyer,
          .currency = euro,
          .lines = std::move(lines)};
}

/// Remembers what readers are to be told anew.
struct CountingCache final : CatalogueCache {
  std::vector<ProductId> forgotten{};
  Task<> forget(Context, std::vector<ProductId> products) override {
    forgotten.insert(forgotten.end(), products.begin(), products.end());
    co_return;
  }
};

}  // namespace stoa::product
