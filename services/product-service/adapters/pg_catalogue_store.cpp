#include "services/product-service/adapters/pg_catalogue_store.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/runtime/crash_point.hpp"

#include "services/product-service/adapters/pg_product_list.hpp"
#include "services/product-service/adapters/pg_product_rows.hpp"
#include "services/product-service/adapters/pg_product_writes.hpp"

namespace stoa::product {
namespace {

using postgres::Query;

Query find_product(ProductId id) {
  static const std::string sql = std::format(
      R"sql(
        SELECT {}{}
        FROM products p
        JOIN variants v ON v.product_id = p.id
        LEFT JOIN stock s ON s.variant_id = v.id AND s.warehouse = 'main'
        WHERE p.id = $1::uuid
        ORDER BY v.position
      )sql",
      listed_columns, description_column);
  return {
      .name = "product.find", .read_only = true, .sql = sql, .params = {postgres::param(id.uuid)}};
}

Query find_product_of(VariantId id) {
  return {.name = "variant.find_product",
          .read_only = true,
          .sql = "SELECT product_id FROM variants WHERE id = $1::uuid",
          .params = {postgres::param(id.uuid)}};
}

Query find_handle(const std::string& handle) {
  return {.name = "product.find_handle",
          .read_only = true,
          .sql = "SELECT id FROM products WHERE handle = $1",
          .params = {handle}};
}

std::vector<std::string> skus_of(const Product& product) {
  std::vector<std::string> skus;
  skus.reserve(product.variants.size());
  for (const Variant& variant : product.variants) skus.push_back(variant.sku);
  return skus;
}

/// Error: sku_taken, for every SKU that another product has.
Result<void> check_skus(const postgres::Rows& owners, const Product& product) {
  std::vector<FieldError> fields;
  for (const postgres::Row row : owners) {
    if (ProductId{row.uuid(1)} == product.id) continue;
    const auto found = std::ranges::find(product.variants, row.text(0), &Variant::sku);
    const auto index = std::distance(product.variants.begin(), found);
    fields.push_back(
        {std::format("/variants/{}/sku", index), "sku_taken", "another variant has this SKU"});
  }
  if (fields.empty()) return {};
  return refuse(ErrorKind::conflict, "sku_taken", "a SKU is taken", std::move(fields));
}

PlannedProduct as_created(const InsertProduct& command) {
  PlannedProduct planned{.kind = PlannedProduct::Kind::created, .product = command.product};
  for (std::size_t i = 0; i < command.product.variants.size(); ++i) {
    const VariantId variant = command.product.variants[i].id;
    planned.new_variants.push_back(variant);
    planned.new_stock.push_back({.variant = variant, .on_hand = command.stock[i]});
  }
  return planned;
}

}  // namespace

postgres::IdempotencyKey stored_key(const RequestKey& key) {
  return {.origin = key.origin, .caller = key.caller, .fingerprint = key.fingerprint};
}

Query insert_key(const RequestKey& key, const Answer& answer) {
  return postgres::insert_idempotency_key(
      stored_key(key), {.status = answer.status, .headers = answer.headers, .body = answer.body});
}

std::optional<std::string> traceparent_of(const Context& context) {
  if (!context.trace.valid()) return std::nullopt;
  return context.trace.traceparent();
}

Task<std::optional<Product>> PgCatalogueStore::find(Context context, ProductId id) {
  const auto rows = co_await database_.run(std::move(context), find_product(id));
  auto products = read_products(rows, Described::yes);
  if (products.empty()) co_return std::nullopt;
  co_return std::move(products.front());
}

Task<std::optional<ProductId>> PgCatalogueStore::product_of(Context context, VariantId id) {
  const auto rows = co_await database_.run(std::move(context), find_product_of(id));
  if (rows.empty()) co_return std::nullopt;
  co_return ProductId{rows.front().uuid(0)};
}

Task<ProductPage> PgCatalogueStore::list(Context context, ListQuery query) {
  const auto limit = static_cast<std::size_t>(query.limit);
  if (!query.with_total) {
    const auto rows = co_await database_.run(std::move(context), list_products(query));
    co_return read_page(rows, limit);
  }
  std::vector<Query> queries{list_products(query), count_products(query)};
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  ProductPage page = read_page(results[0], limit);
  page.total = read_total(results[1], query.sort);
  co_return page;
}

Task<Result<std::optional<Answer>>> PgCatalogueStore::look_up(Context context, RequestKey key) {
  const postgres::IdempotencyKey stored = stored_key(key);
  const auto rows =
      co_await database_.run(std::move(context), postgres::find_idempotency_key(stored));
  auto answer = postgres::stored_answer(rows, stored);
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (!*answer) co_return std::nullopt;
  http::Response replay = (*answer)->replay();
  co_return Answer{.status = replay.status,
                   .headers = std::move(replay.headers),
                   .body = std::move(replay.body)};
}

Task<Result<Inserted>> PgCatalogueStore::insert(Context context, InsertProduct command) {
  auto transaction = co_await database_.begin(context);
  if (command.key) {
    const auto key = co_await transaction.run(insert_key(*command.key, command.answer));
    if (key.empty()) co_return Inserted::key_taken;
  }
  co_await transaction.run(lock_catalogue());
  const auto handles = co_await transaction.run(find_handle(command.product.handle));
  if (!handles.empty()) co_return Inserted::handle_taken;
  const auto owners = co_await transaction.run(find_sku_owners(skus_of(command.product)));
  auto free = check_skus(owners, command.product);
  if (!free) co_return std::unexpected(std::move(free.error()));

  const std::vector<PlannedProduct> planned{as_created(command)};
  const std::vector<Uuid> event_ids{command.event_id};
  auto writes = write_products(planned, {.kind = "initial", .actor = command.actor}, event_ids,
                               traceparent_of(context));
  for (Query& write : writes) co_await transaction.run(std::move(write));
  co_await transaction.commit();
  wake_relay_();
  co_return Inserted::stored;
}

Task<Result<Product>> PgCatalogueStore::change(Context context, ChangeProduct command) {
  auto transaction = co_await database_.begin(context);
  co_await transaction.run(lock_catalogue());
  const auto rows = co_await transaction.run(find_product(command.product));
  auto products = read_products(rows, Described::yes);
  if (products.empty()) {
    co_return refuse(ErrorKind::not_found, "product_not_found", "there is no such product");
  }
  const Product before = std::move(products.front());
  if (command.version && *command.version != before.version) {
    co_return refuse(ErrorKind::precondition_failed, "etag_mismatch",
                     "the product was changed since it was read");
  }
  auto product = command.edit(before);
  if (!product) co_return std::unexpected(std::move(product.error()));
  if (*product == before) co_return before;
  const auto owners = co_await transaction.run(find_sku_owners(skus_of(*product)));
  auto free = check_skus(owners, *product);
  if (!free) co_return std::unexpected(std::move(free.error()));

  std::vector<PlannedProduct> planned;
  planned.push_back({.kind = PlannedProduct::Kind::updated, .product = *product});
  const std::vector<Uuid> event_ids{command.event_id};
  auto writes =
      write_products(planned, {.kind = "initial", .actor = {}}, event_ids, traceparent_of(context));
  for (Query& write : writes) co_await transaction.run(std::move(write));
  co_await transaction.commit();
  wake_relay_();
  co_return std::move(*product);
}

}  // namespace stoa::product
