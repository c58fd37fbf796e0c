#pragma once

#include <string>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/app/ports.hpp"

// The statements of an import's upload, lease, progress and report.
namespace stoa::product {

/// How long a worker has an import without a sign of life.
inline constexpr std::int64_t import_lease_seconds = 10;

postgres::Query insert_import(const Import& import);
postgres::Query insert_chunk(ImportId id, std::int64_t byte_first, std::string_view bytes);
/// One row when the upload is whole.
postgres::Query queue_import(ImportId id, const std::string& fingerprint, std::int64_t byte_count);
postgres::Query delete_upload(ImportId id);
postgres::Query delete_stale_uploads();

/// Rows as read_import() takes them.
postgres::Query find_import(ImportId id);
postgres::Query claim_import(Uuid worker);
Import read_import(const postgres::Row& row);
/// Rows: line, column, code, severity, handle, detail.
postgres::Query find_problems(ImportId id);
/// Rows: the bytes from `byte` to the end of their chunk, hexadecimal.
postgres::Query read_chunk(ImportId id, std::uint64_t byte);

/// One row (problem_count, currency, set_stock, caller) while `worker` has the import.
postgres::Query renew_lease(ImportId id, Uuid worker);
postgres::Query end_lease(ImportId id, Uuid worker);
/// Rows with the columns of a product, its description, on_hand and reserved.
postgres::Query find_by_handles(const std::vector<std::string>& handles);
/// Rows: variant_id, on_hand, reserved.
postgres::Query find_stock(const std::vector<Uuid>& variants);

struct StepCounts {
  std::int64_t rows = 0;
  std::int64_t created = 0;
  std::int64_t updated = 0;
  std::int64_t unchanged = 0;
  std::int64_t refused = 0;
  std::int64_t problems = 0;
};
postgres::Query add_progress(ImportId id, const CsvPosition& end, const StepCounts& counts);
postgres::Query insert_problems(ImportId id, std::int64_t first,
                                const std::vector<RowProblem>& problems);
postgres::Query finish_import(ImportId id, Uuid worker, const std::string& failure);
postgres::Query delete_chunks(ImportId id);

}  // namespace stoa::product
