#pragma once

#include <functional>
#include <utility>

#include "servicekit/postgres/database.hpp"
#include "servicekit/postgres/idempotency.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// Products, variants and prices in PostgreSQL.
class PgCatalogueStore final : public CatalogueStore {
 public:
  /// `wake_relay` is called after a commit that wrote an event.
  PgCatalogueStore(postgres::Database& database, std::function<void()> wake_relay)
      : database_{database}, wake_relay_{std::move(wake_relay)} {}

  Task<std::optional<Product>> find(Context context, ProductId id) override;
  Task<std::optional<ProductId>> product_of(Context context, VariantId id) override;
  Task<ProductPage> list(Context context, ListQuery query) override;
  Task<Result<std::optional<Answer>>> look_up(Context context, RequestKey key) override;
  Task<Result<Inserted>> insert(Context context, InsertProduct command) override;
  Task<Result<Product>> change(Context context, ChangeProduct command) override;

 private:
  postgres::Database& database_;
  std::function<void()> wake_relay_;
};

/// The row of a key, and the key as servicekit stores it.
postgres::IdempotencyKey stored_key(const RequestKey& key);
postgres::Query insert_key(const RequestKey& key, const Answer& answer);

/// What an outbox row carries on; empty outside of a trace.
std::optional<std::string> traceparent_of(const Context& context);

}  // namespace stoa::product
