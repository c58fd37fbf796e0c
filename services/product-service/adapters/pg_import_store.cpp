#include "services/product-service/adapters/pg_import_store.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/runtime/crash_point.hpp"

#include "services/product-service/adapters/pg_catalogue_store.hpp"
#include "services/product-service/adapters/pg_import_sql.hpp"
#include "services/product-service/adapters/pg_product_rows.hpp"
#include "services/product-service/adapters/pg_product_writes.hpp"
#include "services/product-service/adapters/pg_reservation_sql.hpp"

namespace stoa::product {
namespace {

using postgres::Query;

std::uint8_t nibble(char c) { return static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); }

std::string from_hex(std::string_view text) {
  std::string bytes(text.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
  }
  return bytes;
}

void read_before(const postgres::Rows& rows, ShopBefore& before) {
  for (Product& product : read_products(rows, Described::yes)) {
    before.products.emplace(product.handle, std::move(product));
  }
}

void read_stock(const postgres::Rows& rows, ShopBefore& before) {
  for (const postgres::Row row : rows) {
    const VariantId variant{row.uuid(0)};
    before.stock[variant] = {
        .variant = variant, .on_hand = row.number(1), .reserved = row.number(2)};
  }
}

std::vector<Uuid> variants_of(const ShopBefore& before) {
  std::vector<Uuid> variants;
  for (const auto& [handle, product] : before.products) {
    for (const Variant& variant : product.variants) variants.push_back(variant.id.uuid);
  }
  return variants;
}

std::vector<std::string> handles_of(const ImportStep& step) {
  std::vector<std::string> handles;
  handles.reserve(step.products.size());
  for (const ImportedProduct& product : step.products) handles.push_back(product.handle);
  return handles;
}

std::vector<std::string> skus_of(const ImportStep& step) {
  std::vector<std::string> skus;
  for (const ImportedProduct& product : step.products) {
    for (const ImportedVariant& variant : product.variants) skus.push_back(variant.sku);
  }
  return skus;
}

/// What a step writes, decided before anything is written.
struct Plan {
  std::vector<PlannedProduct> products;
  std::vector<RowProblem> problems;
  StepCounts counts;
};

/// Rows of a product that another one interrupts are planned twice and written once.
void add(std::vector<PlannedProduct>& products, PlannedProduct planned) {
  const auto earlier = std::ranges::find_if(products, [&](const PlannedProduct& other) {
    return other.product.id == planned.product.id;
  });
  if (earlier == products.end()) {
    products.push_back(std::move(planned));
    return;
  }
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  if (earlier->kind == PlannedProduct::Kind::unchanged) earlier->kind = planned.kind;
  earlier->product = std::move(planned.product);
  append(earlier->new_variants, planned.new_variants);
  append(earlier->new_stock, planned.new_stock);
  // One change a variant: a statement changes a row once.
  for (const StockChange& change : planned.stock_changes) {
    const auto known =
        std::ranges::find(earlier->stock_changes, change.variant, &StockChange::variant);
    if (known == earlier->stock_changes.end()) {
      earlier->stock_changes.push_back(change);
    } else {
      known->delta += change.delta;
    }
  }
  std::erase_if(earlier->stock_changes,
                [](const StockChange& change) { return change.delta == 0; });
}

Plan plan_step(ImportStep& step, ShopBefore& before, const ImportRules& rules) {
  Plan all;
  for (ImportedProduct& imported : step.products) {
    auto planned = plan(imported, before, rules);
    all.counts.rows += imported.row_count;
    all.problems.insert(all.problems.end(), imported.problems.begin(), imported.problems.end());
    if (!planned) {
      ++all.counts.refused;
      continue;
    }
    switch (planned->kind) {
      case PlannedProduct::Kind::created:
        ++all.counts.created;
        break;
      case PlannedProduct::Kind::updated:
        ++all.counts.updated;
        break;
      case PlannedProduct::Kind::unchanged:
        ++all.counts.unchanged;
        break;
    }
    add(all.products, std::move(*planned));
  }
  all.counts.problems = static_cast<std::int64_t>(all.problems.size());
  return all;
}

/// The problems that still fit into the report.
void limit_problems(std::vector<RowProblem>& problems, std::int64_t kept) {
  const std::int64_t room = std::max<std::int64_t>(0, import_problems_kept_max - kept);
  if (static_cast<std::int64_t>(problems.size()) > room) {
    problems.resize(static_cast<std::size_t>(room));
  }
}

}  // namespace

Task<> PgImportStore::begin_upload(Context context, Import import) {
  runtime::crash_point("product.import_begin.before_commit");
  co_await database_.run(std::move(context), insert_import(import));
  runtime::crash_point("product.import_begin.after_commit");
}

Task<> PgImportStore::append(Context context, ImportId id, std::int64_t byte_first,
                             std::string bytes) {
  runtime::crash_point("product.import_chunk.before_commit");
  co_await database_.run(std::move(context), insert_chunk(id, byte_first, bytes));
  runtime::crash_point("product.import_chunk.after_commit");
}

Task<bool> PgImportStore::queue(Context context, ImportId id, std::string fingerprint,
                                std::int64_t byte_count, std::optional<RequestKey> key,
                                Answer answer) {
  auto transaction = co_await database_.begin(std::move(context));
  if (key) {
    const auto rows = co_await transaction.run(insert_key(*key, answer));
    if (rows.empty()) co_return false;
  }
  const auto queued = co_await transaction.run(queue_import(id, fingerprint, byte_count));
  require(!queued.empty(), "an upload that was stored piece by piece is whole");
  runtime::crash_point("product.import_queue.before_commit");
  co_await transaction.commit();
  runtime::crash_point("product.import_queue.after_commit");
  co_return true;
}

Task<> PgImportStore::discard(Context context, ImportId id) {
  co_await database_.run(std::move(context), delete_upload(id));
}

Task<std::int64_t> PgImportStore::discard_stale(Context context) {
  const auto rows = co_await database_.run(std::move(context), delete_stale_uploads());
  co_return rows.affected();
}

Task<std::optional<ImportReport>> PgImportStore::find(Context context, ImportId id) {
  std::vector<Query> queries{find_import(id), find_problems(id)};
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  if (results[0].empty()) co_return std::nullopt;

  ImportReport report{.import = read_import(results[0].front())};
  report.codes.reserve(results[1].size());
  for (const postgres::Row row : results[1]) {
    report.codes.emplace_back(row.text(2));
    report.problems.push_back({.line = row.number(0),
                               .column = row.optional_text(1),
                               .code = report.codes.back(),
                               .warning = row.text(3) == "warning",
                               .handle = std::string{row.text(4)},
                               .detail = std::string{row.text(5)}});
  }
  co_return report;
}

Task<std::optional<Import>> PgImportStore::claim(Context context, Uuid worker) {
  const auto rows = co_await database_.run(std::move(context), claim_import(worker));
  if (rows.empty()) co_return std::nullopt;
  co_return read_import(rows.front());
}

Task<std::string> PgImportStore::read(Context context, ImportId id, std::uint64_t byte) {
  const auto rows = co_await database_.run(std::move(context), read_chunk(id, byte));
  if (rows.empty()) co_return std::string{};
  co_return from_hex(rows.front().text(0));
}

Task<StepResult> PgImportStore::store(Context context, ImportStep step) {
  auto transaction = co_await database_.begin(context);
  const auto lease = co_await transaction.run(renew_lease(step.import, step.worker));
  if (lease.empty()) co_return StepResult{.leased = false};
  const auto currency = Currency::parse(lease.front().text(1));
  require(currency.has_value(), "a stored currency is one");
  const ImportRules rules{
      .currency = *currency,
      .set_stock = lease.front().flag(2),
      .now = step.now,
      .next_product_id = [&step] { return ProductId{step.next_uuid()}; },
      .next_variant_id = [&step] { return VariantId{step.next_uuid()}; },
  };
  const std::string actor{lease.front().text(3)};

  co_await transaction.run(lock_catalogue());
  ShopBefore before;
  const auto known = co_await transaction.run(find_by_handles(handles_of(step)));
  read_before(known, before);
  if (rules.set_stock) {
    const std::vector<Uuid> variants = variants_of(before);
    co_await transaction.run(lock_stock(variants));
    const auto levels = co_await transaction.run(find_stock(variants));
    read_stock(levels, before);
  }
  const auto owners = co_await transaction.run(find_sku_owners(skus_of(step)));
  for (const postgres::Row row : owners) {
    before.sku_owners[std::string{row.text(0)}] = ProductId{row.uuid(1)};
  }
  Plan plan = plan_step(step, before, rules);

  std::vector<Uuid> event_ids;
  event_ids.reserve(plan.products.size());
  for (std::size_t i = 0; i < plan.products.size(); ++i) event_ids.push_back(step.next_uuid());
  auto writes = write_products(plan.products,
                               {.kind = "import", .actor = actor, .import_id = step.import.uuid},
                               event_ids, std::nullopt);
  for (Query& write : writes) co_await transaction.run(std::move(write));
  limit_problems(plan.problems, lease.front().number(0));
  if (!plan.problems.empty()) {
    co_await transaction.run(insert_problems(step.import, lease.front().number(0), plan.problems));
  }
  co_await transaction.run(add_progress(step.import, step.end, plan.counts));
  runtime::crash_point("product.import.before_commit");
  co_await transaction.commit();
  runtime::crash_point("product.import.after_commit");

  StepResult result;
  for (const PlannedProduct& product : plan.products) {
    if (product.kind != PlannedProduct::Kind::unchanged) {
      result.changed.push_back(product.product.id);
    }
  }
  if (!result.changed.empty()) wake_relay_();
  co_return result;
}

Task<> PgImportStore::hand_back(Context context, ImportId id, Uuid worker) {
  co_await database_.run(std::move(context), end_lease(id, worker));
}

Task<> PgImportStore::finish(Context context, ImportId id, Uuid worker, std::string failure) {
  std::vector<Query> queries{finish_import(id, worker, failure), delete_chunks(id)};
  runtime::crash_point("product.import_end.before_commit");
  co_await database_.run_all(std::move(context), std::move(queries));
  runtime::crash_point("product.import_end.after_commit");
}

}  // namespace stoa::product
