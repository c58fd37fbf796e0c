#pragma once

#include <functional>
#include <optional>
#include <string>

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

inline constexpr std::int64_t import_bytes_max = 64LL * 1024 * 1024;

/// Taking in a shop's CSV: the upload, and the work that follows it. The work runs on one loop.
class Imports {
 public:
  struct Sources {
    std::function<Uuid()> next_uuid{};
    std::function<Instant()> now{};
    std::function<Answer(const Import&)> render_accepted{};
    std::size_t products_per_step = 200;
    std::size_t steps_per_turn = 10;
  };

  Imports(ImportStore& store, CatalogueStore& keys, CatalogueCache& cache, Sources sources)
      : store_{store}, keys_{keys}, cache_{cache}, sources_{std::move(sources)} {}

  /// An upload in the making: invisible, and gone when its sender is. One request's own.
  struct Upload {
    Import import;
  };

  Task<Upload> begin(Context context, Currency currency, bool set_stock, std::string caller);
  /// Stores the next bytes; durable when it returns.
  Task<> append(Context context, Upload* upload, std::string bytes);
  /// The upload becomes an import: from here on it survives us. `fingerprint` is the SHA-256 of
  /// the bytes. Errors: idempotency_key_reused. Repeating a key returns the first answer.
  Task<Result<Answer>> complete(Context context, Upload upload, std::string fingerprint,
                                std::optional<RequestKey> key);
  Task<> discard(Context context, ImportId id);

  /// Errors: import_not_found.
  Task<Result<ImportReport>> find(Context context, ImportId id);

  struct Worked {
    bool found = false;     ///< whether there was an import to work on
    bool finished = false;  ///< whether that was its last piece
    std::int64_t products = 0;
    std::int64_t refused = 0;
  };
  /// Claims an import and works on it for a few steps. Each step is one transaction of at most
  /// products_per_step products; whoever claims the import next, after us or after our death, goes
  /// on behind the last committed step.
  Task<Worked> work();

  /// Removes uploads that a dead process left behind.
  Task<std::int64_t> discard_stale(Context context);

 private:
  class Run;
  friend class Run;

  ImportStore& store_;
  CatalogueStore& keys_;
  CatalogueCache& cache_;
  Sources sources_;
};

}  // namespace stoa::product
