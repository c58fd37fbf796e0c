#pragma once

#include <functional>
#include <utility>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// Imports, their bytes and their reports in PostgreSQL.
class PgImportStore final : public ImportStore {
 public:
  /// `wake_relay` is called after a commit that wrote events.
  PgImportStore(postgres::Database& database, std::function<void()> wake_relay)
      : database_{database}, wake_relay_{std::move(wake_relay)} {}

  Task<> begin_upload(Context context, Import import) override;
  Task<> append(Context context, ImportId id, std::int64_t byte_first, std::string bytes) override;
  Task<bool> queue(Context context, ImportId id, std::string fingerprint, std::int64_t byte_count,
                   std::optional<RequestKey> key, Answer answer) override;
  Task<> discard(Context context, ImportId id) override;
  Task<std::int64_t> discard_stale(Context context) override;
  Task<std::optional<ImportReport>> find(Context context, ImportId id) override;
  Task<std::optional<Import>> claim(Context context, Uuid worker) override;
  Task<std::string> read(Context context, ImportId id, std::uint64_t byte) override;
  Task<StepResult> store(Context context, ImportStep step) override;
  Task<> hand_back(Context context, ImportId id, Uuid worker) override;
  Task<> finish(Context context, ImportId id, Uuid worker, std::string failure) override;

 private:
  postgres::Database& database_;
  std::function<void()> wake_relay_;
};

}  // namespace stoa::product
