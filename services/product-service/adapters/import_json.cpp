#include "services/product-service/adapters/import_json.hpp"

#include <optional>
#include <vector>

#include "servicekit/json/json.hpp"

namespace stoa::product {
namespace {

struct CountsJson {
  std::int64_t created = 0;
  std::int64_t updated = 0;
  std::int64_t unchanged = 0;
  std::int64_t refused = 0;
};

struct ProblemJson {
  std::int64_t line = 0;
  std::optional<std::string> column;
  std::string code;
  std::string severity;
  std::optional<std::string> handle;
  std::string detail;
};

struct ImportJson {
  std::string id;
  std::string status;
  std::string currency;
  bool set_stock = false;
  std::int64_t bytes = 0;
  std::int64_t bytes_done = 0;
  std::int64_t rows_done = 0;
  CountsJson products;
  std::int64_t problem_count = 0;
  std::vector<ProblemJson> problems;
  std::optional<std::string> failure;
  std::string created_at;
  std::optional<std::string> finished_at;
};

std::optional<std::string> filled(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

}  // namespace

std::string to_json(const ImportReport& report) {
  const Import& import = report.import;
  ImportJson wire{.id = import.id.str(),
                  .status = std::string{name(import.state)},
                  .currency = std::string{import.currency.code()},
                  .set_stock = import.set_stock,
                  .bytes = import.byte_count,
                  .bytes_done = static_cast<std::int64_t>(import.done.byte),
                  .rows_done = import.rows,
                  .products = {.created = import.created,
                               .updated = import.updated,
                               .unchanged = import.unchanged,
                               .refused = import.refused},
                  .problem_count = import.problem_count,
                  .problems = {},
                  .failure = filled(import.failure),
                  .created_at = rfc3339(import.created_at),
                  .finished_at = std::nullopt};
  if (import.finished_at) wire.finished_at = rfc3339(*import.finished_at);
  for (const RowProblem& problem : report.problems) {
    wire.problems.push_back({.line = problem.line,
                             .column = problem.column,
                             .code = std::string{problem.code},
                             .severity = problem.warning ? "warning" : "error",
                             .handle = filled(problem.handle),
                             .detail = problem.detail});
  }
  return json::write(wire);
}

}  // namespace stoa::product
