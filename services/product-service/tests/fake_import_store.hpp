#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/require.hpp"

#include "services/product-service/tests/fake_shop.hpp"

namespace stoa::product {

/// Keeps the promises of the real store: imports_test runs one suite over both.
class FakeImportStore final : public ImportStore {
 public:
  static constexpr std::chrono::seconds lease{10};
  /// An upload that was begun before 1980 is stale: the fake has no wall clock.
  static constexpr Instant stale_before{std::chrono::days{3'650}};

  struct Row {
    Import import;
    std::map<std::uint64_t, std::string> chunks{};
    std::vector<RowProblem> problems{};
    std::optional<Uuid> worker{};
    std::chrono::seconds lease_until{0};
  };

  explicit FakeImportStore(FakeShop& shop) : shop_{shop} {}

  std::map<ImportId, Row> rows{};

  Task<> begin_upload(Context, Import import) override {
    const ImportId id = import.id;
    rows.emplace(id, Row{.import = std::move(import)});
    co_return;
  }

  Task<> append(Context, ImportId id, std::int64_t byte_first, std::string bytes) override {
    rows.at(id).chunks.emplace(static_cast<std::uint64_t>(byte_first), std::move(bytes));
    co_return;
  }

  Task<bool> queue(Context, ImportId id, std::string, std::int64_t byte_count,
                   std::optional<RequestKey> key, Answer answer) override {
    if (!shop_.keep_key(key, answer)) co_return false;
    Import& import = rows.at(id).import;
    import.state = ImportState::queued;
    import.byte_count = byte_count;
    co_return true;
  }

  Task<> discard(Context, ImportId id) override {
    std::erase_if(rows, [&](const auto& row) {
      return row.first == id && row.second.import.state == ImportState::receiving;
    });
    co_return;
  }

  Task<std::int64_t> discard_stale(Context) override {
    co_return static_cast<std::int64_t>(std::erase_if(rows, [](const auto& row) {
      const Import& import = row.second.import;
      return import.state == ImportState::receiving && import.created_at < stale_before;
    }));
  }

  Task<std::optional<ImportReport>> find(Context, ImportId id) override {
    const auto found = rows.find(id);
    const bool visible =
        found != rows.end() && found->second.import.state != ImportState::receiving;
    if (!visible) co_return std::nullopt;
    ImportReport report{.import = found->second.import, .problems = found->second.problems};
    if (std::ssize(report.problems) > import_problems_told_max) {
      report.problems.resize(static_cast<std::size_t>(import_problems_told_max));
    }
    co_return report;
  }

  Task<std::optional<Import>> claim(Context, Uuid worker) override {
    Row* oldest = nullptr;
    for (auto& [id, row] : rows) {
      const bool idle = row.import.state == ImportState::running && row.lease_until <= shop_.clock;
      if (row.import.state != ImportState::queued && !idle) continue;
      if (oldest == nullptr || row.import.created_at < oldest->import.created_at) oldest = &row;
    }
    if (oldest == nullptr) co_return std::nullopt;
    oldest->import.state = ImportState::running;
    oldest->import.attempts += 1;
    oldest->worker = worker;
    oldest->lease_until = shop_.clock + lease;
    co_return oldest->import;
  }

  Task<std::string> read(Context, ImportId id, std::uint64_t byte) override {
    const auto& chunks = rows.at(id).chunks;
    auto chunk = chunks.upper_bound(byte);
    if (chunk == chunks.begin()) co_return std::string{};
    --chunk;
    const std::size_t offset = byte - chunk->first;
    co_return offset < chunk->second.size() ? chunk->second.substr(offset) : std::string{};
  }

  Task<StepResult> store(Context, ImportStep step) override {
    Row& row = rows.at(step.import);
    if (!works_on(row, step.worker)) co_return StepResult{.leased = false};
    row.lease_until = shop_.clock + lease;
    StepResult result;
    for (ImportedProduct& imported : step.products) {
      if (const auto changed = take(row, imported, step)) result.changed.push_back(*changed);
    }
    row.import.done = step.end;
    row.import.attempts = 0;
    co_return result;
  }

  Task<> hand_back(Context, ImportId id, Uuid worker) override {
    Row& row = rows.at(id);
    if (works_on(row, worker)) row.lease_until = shop_.clock;
    co_return;
  }

  Task<> finish(Context, ImportId id, Uuid worker, std::string failure) override {
    Row& row = rows.at(id);
    if (!works_on(row, worker)) co_return;
    row.import.state = failure.empty() ? ImportState::completed : ImportState::failed;
    row.import.failure = std::move(failure);
    row.import.finished_at = row.import.created_at;
    row.chunks.clear();
  }

 private:
  static bool works_on(const Row& row, Uuid worker) {
    return row.import.state == ImportState::running && row.worker == worker;
  }

  ShopBefore before() const {
    ShopBefore all{.products = {}, .stock = shop_.stock, .sku_owners = {}};
    for (const auto& [id, product] : shop_.products) {
      all.products.emplace(product.handle, shop_.as_read(product));
      for (const Variant& variant : product.variants) all.sku_owners.emplace(variant.sku, id);
    }
    return all;
  }

  /// One product after the other: what a real step does in one transaction.
  std::optional<ProductId> take(Row& row, ImportedProduct& imported, const ImportStep& step) {
    ShopBefore shop_before = before();
    const ImportRules rules{.currency = row.import.currency,
                            .set_stock = row.import.set_stock,
                            .now = step.now,
                            .next_product_id = [&] { return ProductId{step.next_uuid()}; },
                            .next_variant_id = [&] { return VariantId{step.next_uuid()}; }};
    const auto planned = plan(imported, shop_before, rules);
    row.import.rows += imported.row_count;
    row.import.problem_count += std::ssize(imported.problems);
    row.problems.insert(row.problems.end(), imported.problems.begin(), imported.problems.end());
    if (std::ssize(row.problems) > import_problems_kept_max) {
      row.problems.resize(static_cast<std::size_t>(import_problems_kept_max));
    }
    if (!planned) {
      ++row.import.refused;
      return std::nullopt;
    }
    return write(row.import, *planned);
  }

  std::optional<ProductId> write(Import& import, const PlannedProduct& planned) {
    switch (planned.kind) {
      case PlannedProduct::Kind::created:
        ++import.created;
        break;
      case PlannedProduct::Kind::updated:
        ++import.updated;
        break;
      case PlannedProduct::Kind::unchanged:
        ++import.unchanged;
        return std::nullopt;
    }
    shop_.put(planned.product);
    const auto move = [&](VariantId variant, std::int64_t delta) {
      shop_.move_stock(variant, {.delta = delta, .kind = "import", .import = import.id});
    };
    for (const NewStock& stock : planned.new_stock) move(stock.variant, stock.on_hand);
    for (const StockChange& change : planned.stock_changes) move(change.variant, change.delta);
    return planned.product.id;
  }

  FakeShop& shop_;
};

}  // namespace stoa::product
