#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"

#include "services/product-service/domain/csv.hpp"
#include "services/product-service/domain/product.hpp"

// The product CSV that Shopify exports, with its old column names (Handle, Title, Body (HTML), …)
// and its new ones (URL handle, Title, Description, …): rows of one product follow one another, the
// first carries the product, each a variant or only an image.
namespace stoa::product {

/// What the report of an import says of a row.
struct RowProblem {
  std::int64_t line = 0;
  std::optional<std::string> column{};  ///< as the file's header names it; empty: the whole row
  std::string_view code{};
  bool warning = false;  ///< told, but the product was imported
  std::string handle{};
  std::string detail{};

  friend bool operator==(const RowProblem&, const RowProblem&) = default;
};

enum class Column : std::uint8_t {
  handle,
  title,
  description,
  vendor,
  category,
  type,
  tags,
  published,
  status,
  image,
  option1_name,
  option1_value,
  option2_name,
  option2_value,
  option3_name,
  option3_value,
  sku,
  price,
  quantity,
};
inline constexpr std::size_t column_count = 19;

/// Where the columns we know are; unknown ones are ignored.
class Columns {
 public:
  /// Errors (invalid): import_header_invalid: no handle column, or a known one twice.
  static Result<Columns> from_header(const std::vector<std::string>& header);

  bool has(Column column) const { return at(column) != absent; }
  /// "" where the row is shorter than its header.
  std::string_view value(const CsvRecord& record, Column column) const;
  /// Where an editor shows the field; where the row begins when it has none.
  std::int64_t line(const CsvRecord& record, Column column) const;
  /// As the file writes it.
  const std::string& name(Column column) const;
  std::string name_of_field(std::size_t field) const;

 private:
  static constexpr std::size_t absent = csv_columns_max;
  std::size_t at(Column column) const { return positions_[static_cast<std::size_t>(column)]; }

  std::array<std::size_t, column_count> positions_{};
  std::vector<std::string> header_{};
  std::string none_{};
};

struct ImportedVariant {
  std::int64_t line = 0;           ///< where its SKU stands, or would
  std::int64_t quantity_line = 0;  ///< where its quantity stands
  std::string sku{};               ///< made from handle and options when the file has none
  Options options{};
  std::string title{};  ///< option values in the file's order
  Money price;
  std::optional<std::int64_t> quantity{};
};

/// How the file names the columns that a plan may complain about.
struct ColumnNames {
  std::string title{"Title"};
  std::string sku{"SKU"};
  std::string quantity{"Inventory quantity"};
};

/// One product of the file. Members are empty where the file has no such column.
struct ImportedProduct {
  std::int64_t line = 0;
  std::string handle{};
  std::optional<std::string> name{};
  std::optional<std::string> description{};
  std::optional<std::string> category{};
  std::optional<std::string> vendor{};
  std::optional<std::vector<std::string>> tags{};
  std::optional<std::string> image_url{};
  std::optional<Status> status{};
  std::vector<ImportedVariant> variants{};
  std::vector<RowProblem> problems{};
  ColumnNames columns{};
  std::int64_t row_count = 0;
  CsvPosition end{};  ///< where the next product begins

  /// All or nothing: one wrong row refuses the whole product.
  bool refused() const;
};

/// Gathers the rows of a product.
class ProductAssembler {
 public:
  ProductAssembler(Columns columns, Currency currency)
      : columns_{std::move(columns)}, currency_{currency} {}

  /// Takes the next item; returns the product before it when the item begins another one.
  std::optional<ImportedProduct> add(CsvItem item);
  /// The last product of the file.
  std::optional<ImportedProduct> finish();

 private:
  std::optional<ImportedProduct> add_record(const CsvRecord& record);
  std::optional<ImportedProduct> add_problem(const CsvProblem& problem);
  std::optional<ImportedProduct> begin(std::string handle, std::int64_t line);
  void read_product(const CsvRecord& record);
  void read_status(const CsvRecord& record);
  void read_option_names(const CsvRecord& record);
  void read_variant(const CsvRecord& record);
  std::vector<std::pair<std::string, std::string>> read_options(const CsvRecord& record);
  std::optional<Money> read_price(const CsvRecord& record);
  std::optional<std::int64_t> read_quantity(const CsvRecord& record);
  bool has_variant(const CsvRecord& record) const;
  void report(const CsvRecord& record, Column column, std::string_view code, std::string detail);

  Columns columns_;
  Currency currency_;
  std::optional<ImportedProduct> current_{};
  std::array<std::string, option_count_max> option_names_;
};

}  // namespace stoa::product
