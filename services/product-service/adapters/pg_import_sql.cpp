#include "services/product-service/adapters/pg_import_sql.hpp"

#include <format>
#include <span>
#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"

#include "services/product-service/adapters/pg_product_rows.hpp"

namespace stoa::product {
namespace {

using postgres::Param;
using postgres::Query;

// An upload takes at most its route's deadline; what is older has no sender any more.
constexpr std::int64_t upload_seconds_max = 360;
constexpr std::int64_t stale_uploads_max = 10;

constexpr std::string_view import_columns =
    "id, state, currency, set_stock, caller, byte_count, bytes_done, lines_done, rows_done,"
    " products_created, products_updated, products_unchanged, products_refused, problem_count,"
    " coalesce(failure, ''), (extract(epoch FROM created_at) * 1000)::bigint,"
    " (extract(epoch FROM finished_at) * 1000)::bigint, attempts";

std::string hex_of(std::string_view bytes) {
  return hex(std::span{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

ImportState parse_state(std::string_view text) {
  using enum ImportState;
  for (const ImportState state : {receiving, queued, running, completed, failed}) {
    if (name(state) == text) return state;
  }
  fail_invariant("a stored import state is one", std::source_location::current());
}

}  // namespace

Query insert_import(const Import& import) {
  return {.name = "import.insert",
          .read_only = false,
          .sql =
              "INSERT INTO imports (id, state, currency, set_stock, caller, created_at)"
              " VALUES ($1::uuid, 'receiving', $2, $3::boolean, $4, $5::timestamptz)",
          .params = {postgres::param(import.id.uuid), std::string{import.currency.code()},
                     import.set_stock, import.caller, rfc3339(import.created_at)}};
}

Query insert_chunk(ImportId id, std::int64_t byte_first, std::string_view bytes) {
  return {.name = "import.append",
          .read_only = false,
          .sql =
              "INSERT INTO import_chunks (import_id, byte_first, bytes)"
              " VALUES ($1::uuid, $2::bigint, decode($3, 'hex'))",
          .params = {postgres::param(id.uuid), byte_first, hex_of(bytes)}};
}

Query queue_import(ImportId id, const std::string& fingerprint, std::int64_t byte_count) {
  return {
      .name = "import.queue",
      .read_only = false,
      .sql = R"sql(
        UPDATE imports SET state = 'queued', fingerprint = $2, byte_count = $3::bigint
        WHERE id = $1::uuid AND state = 'receiving' AND $3::bigint = (
          SELECT coalesce(sum(length(bytes)), 0) FROM import_chunks WHERE import_id = $1::uuid)
        RETURNING id
      )sql",
      .params = {postgres::param(id.uuid), fingerprint, byte_count},
  };
}

Query delete_upload(ImportId id) {
  return {.name = "import.discard",
          .read_only = false,
          .sql = "DELETE FROM imports WHERE id = $1::uuid AND state = 'receiving'",
          .params = {postgres::param(id.uuid)}};
}

Query delete_stale_uploads() {
  return {
      .name = "import.discard_stale",
      .read_only = false,
      .sql = R"sql(
        DELETE FROM imports WHERE id IN (
          SELECT id FROM imports
          WHERE state = 'receiving' AND created_at < now() - $1::bigint * interval '1 second'
          LIMIT $2::bigint FOR UPDATE SKIP LOCKED)
      )sql",
      .params = {upload_seconds_max, stale_uploads_max},
  };
}

Query find_import(ImportId id) {
  static const std::string sql = std::format(
      "SELECT {} FROM imports WHERE id = $1::uuid AND state <> 'receiving'", import_columns);
  return {
      .name = "import.find", .read_only = true, .sql = sql, .params = {postgres::param(id.uuid)}};
}

Query claim_import(Uuid worker) {
  static const std::string sql = std::format(
      R"sql(
        UPDATE imports SET state = 'running', lease_owner = $1::uuid, attempts = attempts + 1,
                           lease_until = now() + $2::bigint * interval '1 second'
        WHERE id = (
          SELECT id FROM imports
          WHERE state = 'queued' OR (state = 'running' AND lease_until < now())
          ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING {}
      )sql",
      import_columns);
  return {.name = "import.claim",
          .read_only = false,
          .sql = sql,
          .params = {postgres::param(worker), import_lease_seconds}};
}

Import read_import(const postgres::Row& row) {
  const auto currency = Currency::parse(row.text(2));
  require(currency.has_value(), "a stored currency is one");
  Import import{
      .id = ImportId{row.uuid(0)},
      .state = parse_state(row.text(1)),
      .currency = *currency,
      .set_stock = row.flag(3),
      .caller = std::string{row.text(4)},
      .byte_count = row.number(5),
      .done = {.byte = static_cast<std::uint64_t>(row.number(6)), .line = row.number(7) + 1},
      .rows = row.number(8),
      .created = row.number(9),
      .updated = row.number(10),
      .unchanged = row.number(11),
      .refused = row.number(12),
      .problem_count = row.number(13),
      .failure = std::string{row.text(14)},
      .attempts = row.number(17),
      .created_at = row.instant(15)};
  if (!row.is_null(16)) import.finished_at = row.instant(16);
  return import;
}

Query find_problems(ImportId id) {
  return {.name = "import.problems",
          .read_only = true,
          .sql =
              "SELECT line, column_name, code, severity, coalesce(handle, ''), detail"
              " FROM import_problems WHERE import_id = $1::uuid"
              " ORDER BY position LIMIT $2::bigint",
          .params = {postgres::param(id.uuid), import_problems_told_max}};
}

Query read_chunk(ImportId id, std::uint64_t byte) {
  return {
      .name = "import.read",
      .read_only = true,
      .sql = R"sql(
        SELECT encode(substr(bytes, ($2::bigint - byte_first + 1)::integer), 'hex')
        FROM import_chunks
        WHERE import_id = $1::uuid AND byte_first <= $2::bigint
        ORDER BY byte_first DESC LIMIT 1
      )sql",
      .params = {postgres::param(id.uuid), static_cast<std::int64_t>(byte)},
  };
}

Query renew_lease(ImportId id, Uuid worker) {
  return {
      .name = "import.renew_lease",
      .read_only = false,
      .sql = R"sql(
        UPDATE imports SET lease_until = now() + $3::bigint * interval '1 second'
        WHERE id = $1::uuid AND lease_owner = $2::uuid AND state = 'running'
        RETURNING problem_count, currency, set_stock, caller
      )sql",
      .params = {postgres::param(id.uuid), postgres::param(worker), import_lease_seconds},
  };
}

Query end_lease(ImportId id, Uuid worker) {
  return {.name = "import.end_lease",
          .read_only = false,
          .sql =
              "UPDATE imports SET lease_until = now() - interval '1 second'"
              " WHERE id = $1::uuid AND lease_owner = $2::uuid AND state = 'running'",
          .params = {postgres::param(id.uuid), postgres::param(worker)}};
}

Query find_by_handles(const std::vector<std::string>& handles) {
  static const std::string sql = std::format(
      R"sql(
        SELECT {}{}, s.on_hand, s.reserved
        FROM products p
        JOIN variants v ON v.product_id = p.id
        LEFT JOIN stock s ON s.variant_id = v.id AND s.warehouse = 'main'
        WHERE p.handle = ANY($1::text[])
        ORDER BY p.id, v.position
      )sql",
      listed_columns, description_column);
  return {.name = "product.find_by_handles",
          .read_only = true,
          .sql = sql,
          .params = {postgres::array(handles)}};
}

Query find_stock(const std::vector<Uuid>& variants) {
  return {.name = "stock.find",
          .read_only = true,
          .sql =
              "SELECT variant_id, on_hand, reserved FROM stock"
              " WHERE variant_id = ANY($1::uuid[]) AND warehouse = 'main'",
          .params = {postgres::array(variants)}};
}

Query add_progress(ImportId id, const CsvPosition& end, const StepCounts& counts) {
  return {
      .name = "import.progress",
      .read_only = false,
      .sql = R"sql(
        UPDATE imports
        SET bytes_done = $2::bigint, lines_done = $3::bigint, rows_done = rows_done + $4::bigint,
            products_created = products_created + $5::bigint,
            products_updated = products_updated + $6::bigint,
            products_unchanged = products_unchanged + $7::bigint,
            products_refused = products_refused + $8::bigint,
            problem_count = problem_count + $9::bigint, attempts = 0
        WHERE id = $1::uuid
      )sql",
      .params = {postgres::param(id.uuid), static_cast<std::int64_t>(end.byte), end.line - 1,
                 counts.rows, counts.created, counts.updated, counts.unchanged, counts.refused,
                 counts.problems},
  };
}

Query insert_problems(ImportId id, std::int64_t first, const std::vector<RowProblem>& problems) {
  std::vector<std::int64_t> positions;
  std::vector<std::int64_t> lines;
  std::vector<std::optional<std::string>> columns;
  std::vector<std::string> codes;
  std::vector<std::string> severities;
  std::vector<std::optional<std::string>> handles;
  std::vector<std::string> details;
  for (const RowProblem& problem : problems) {
    positions.push_back(first++);
    lines.push_back(problem.line);
    columns.push_back(problem.column);
    codes.emplace_back(problem.code);
    severities.emplace_back(problem.warning ? "warning" : "error");
    handles.push_back(problem.handle.empty() ? std::nullopt : std::optional{problem.handle});
    details.push_back(problem.detail);
  }
  using postgres::array;
  return {
      .name = "import.insert_problems",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO import_problems
          (import_id, position, line, column_name, code, severity, handle, detail)
        SELECT $1::uuid, n.* FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[],
                                         $6::text[], $7::text[], $8::text[]) AS n
      )sql",
      .params = {postgres::param(id.uuid), array(positions), array(lines), array(columns),
                 array(codes), array(severities), array(handles), array(details)},
  };
}

Query finish_import(ImportId id, Uuid worker, const std::string& failure) {
  return {
      .name = "import.finish",
      .read_only = false,
      .sql = R"sql(
        UPDATE imports
        SET state = CASE WHEN $3 = '' THEN 'completed' ELSE 'failed' END, failure = nullif($3, ''),
            finished_at = now(), lease_owner = NULL, lease_until = NULL
        WHERE id = $1::uuid AND lease_owner = $2::uuid AND state = 'running'
      )sql",
      .params = {postgres::param(id.uuid), postgres::param(worker), failure},
  };
}

Query delete_chunks(ImportId id) {
  return {.name = "import.delete_chunks",
          .read_only = false,
          .sql =
              "DELETE FROM import_chunks c USING imports i WHERE c.import_id = $1::uuid"
              " AND i.id = c.import_id AND i.state IN ('completed', 'failed')",
          .params = {postgres::param(id.uuid)}};
}

}  // namespace stoa::product
