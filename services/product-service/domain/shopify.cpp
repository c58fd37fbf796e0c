#include "services/product-service/domain/shopify.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <utility>

namespace stoa::product {
namespace {

struct KnownColumn {
  std::string_view name;
  Column column;
};

// Lower case; old and new name of each.
constexpr std::array known_columns = std::to_array<KnownColumn>({
    {"handle", Column::handle},
    {"url handle", Column::handle},
    {"title", Column::title},
    {"body (html)", Column::description},
    {"body html", Column::description},
    {"description", Column::description},
    {"vendor", Column::vendor},
    {"product category", Column::category},
    {"type", Column::type},
    {"tags", Column::tags},
    {"published", Column::published},
    {"published on online store", Column::published},
    {"status", Column::status},
    {"image src", Column::image},
    {"product image url", Column::image},
    {"option1 name", Column::option1_name},
    {"option1 value", Column::option1_value},
    {"option2 name", Column::option2_name},
    {"option2 value", Column::option2_value},
    {"option3 name", Column::option3_name},
    {"option3 value", Column::option3_value},
    {"variant sku", Column::sku},
    {"sku", Column::sku},
    {"variant price", Column::price},
    {"price", Column::price},
    {"variant inventory qty", Column::quantity},
    {"inventory quantity", Column::quantity},
});

constexpr std::array option_names = {Column::option1_name, Column::option2_name,
                                     Column::option3_name};
constexpr std::array option_values = {Column::option1_value, Column::option2_value,
                                      Column::option3_value};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> tags;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (const auto tag = trimmed(text.substr(0, comma)); !tag.empty()) tags.emplace_back(tag);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return tags;
}

/// The same file always gives the same SKU, so that importing it again finds its variants.
std::string made_sku(std::string_view handle,
                     const std::vector<std::pair<std::string, std::string>>& options,
                     std::size_t ordinal) {
  std::string sku{handle};
  for (const auto& [option, value] : options) {
    // A value without ASCII letters leaves nothing to tell variants apart.
    const bool has_letters = std::ranges::any_of(value, [](unsigned char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
    sku += '-';
    sku += has_letters ? handle_from(value) : std::to_string(ordinal);
  }
  for (char& c : sku) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (sku.size() > sku_bytes_max) sku.resize(sku_bytes_max);
  return sku;
}

std::string_view detail_of(std::string_view code) {
  if (code == "unterminated_quote") return "a quoted field is never closed";
  if (code == "stray_quote") return "text follows the closing quote of a field";
  if (code == "invalid_character") return "the field holds a NUL";
  if (code == "invalid_utf8") return "the field is not UTF-8";
  if (code == "field_too_long") return "a field may have 512 KiB";
  if (code == "record_too_long") return "a row may have 1 MiB";
  return "a row may have 256 columns";
}

}  // namespace

bool ImportedProduct::refused() const {
  return std::ranges::any_of(problems, [](const RowProblem& problem) { return !problem.warning; });
}

Result<Columns> Columns::from_header(const std::vector<std::string>& header) {
  Columns columns;
  columns.positions_.fill(absent);
  columns.header_ = header;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const std::string column_name = lower_case(trimmed(header[i]));
    const auto known = std::ranges::find(known_columns, column_name, &KnownColumn::name);
    if (known == known_columns.end()) continue;
    std::size_t& position = columns.positions_[static_cast<std::size_t>(known->column)];
    if (position != absent) {
      return refuse(ErrorKind::invalid, "import_header_invalid",
                    std::format("the columns {} and {} mean the same", position + 1, i + 1));
    }
    position = i;
  }
  if (!columns.has(Column::handle)) {
    return refuse(ErrorKind::invalid, "import_header_invalid",
                  "the first line has no column 'Handle' or 'URL handle'");
  }
  return columns;
}

std::string_view Columns::value(const CsvRecord& record, Column column) const {
  if (at(column) >= record.fields.size()) return {};
  return record.fields[at(column)];
}

std::int64_t Columns::line(const CsvRecord& record, Column column) const {
  return at(column) < record.field_lines.size() ? record.field_lines[at(column)] : record.line;
}

const std::string& Columns::name(Column column) const {
  return has(column) ? header_[at(column)] : none_;
}

std::string Columns::name_of_field(std::size_t field) const {
  return field < header_.size() ? header_[field] : std::string{};
}

std::optional<ImportedProduct> ProductAssembler::add(CsvItem item) {
  if (const auto* record = std::get_if<CsvRecord>(&item)) return add_record(*record);
  return add_problem(std::get<CsvProblem>(item));
}

std::optional<ImportedProduct> ProductAssembler::finish() {
  return std::exchange(current_, std::nullopt);
}

std::optional<ImportedProduct> ProductAssembler::begin(std::string handle, std::int64_t line) {
  auto before = std::exchange(current_, ImportedProduct{.line = line, .handle = std::move(handle)});
  const auto take_name = [this](Column column, std::string& name) {
    if (columns_.has(column)) name = columns_.name(column);
  };
  take_name(Column::title, current_->columns.title);
  take_name(Column::sku, current_->columns.sku);
  take_name(Column::quantity, current_->columns.quantity);
  option_names_ = {};
  return before;
}

std::optional<ImportedProduct> ProductAssembler::add_record(const CsvRecord& record) {
  std::string handle = lower_case(trimmed(columns_.value(record, Column::handle)));
  std::optional<ImportedProduct> before;
  const bool first = !current_ || handle.empty() || current_->handle != handle;
  if (first) before = begin(std::move(handle), record.line);
  ++current_->row_count;
  current_->end = record.end;

  if (current_->handle.empty()) {
    report(record, Column::handle, "handle_missing", "the row names no product");
  } else if (!valid_handle(current_->handle)) {
    report(record, Column::handle, "handle_invalid",
           "a handle has letters, digits and dashes, at most 255 bytes");
    current_->handle.resize(std::min(current_->handle.size(), std::size_t{64}));
  } else {
    if (first) read_product(record);
    if (first || has_variant(record)) read_variant(record);
  }
  return before;
}

std::optional<ImportedProduct> ProductAssembler::add_problem(const CsvProblem& problem) {
  std::string handle = lower_case(trimmed(problem.first_field));
  std::optional<ImportedProduct> before;
  if (!current_ || handle.empty() || current_->handle != handle) {
    before = begin(valid_handle(handle) ? handle : std::string{}, problem.line);
  }
  ++current_->row_count;
  current_->end = problem.end;
  std::string column = columns_.name_of_field(problem.field);
  current_->problems.push_back(
      {.line = problem.line,
       .column = column.empty() ? std::nullopt : std::optional{std::move(column)},
       .code = problem.code,
       .warning = false,
       .handle = current_->handle,
       .detail = std::string{detail_of(problem.code)}});
  return before;
}

void ProductAssembler::read_product(const CsvRecord& record) {
  const auto text = [&](Column column) -> std::optional<std::string> {
    if (!columns_.has(column)) return std::nullopt;
    return std::string{trimmed(columns_.value(record, column))};
  };
  const auto limited = [&](Column column, std::size_t bytes_max) {
    auto value = text(column);
    if (value && !acceptable_text(*value, bytes_max)) {
      report(record, column, "text_invalid",
             std::format("at most {} bytes without control characters", bytes_max));
    }
    return value;
  };
  ImportedProduct& product = *current_;
  product.name = limited(Column::title, name_bytes_max);
  product.description = limited(Column::description, description_bytes_max);
  product.vendor = limited(Column::vendor, label_bytes_max);
  product.image_url = limited(Column::image, url_bytes_max);
  // The shop's own type is what its buyers know; the taxonomy's path is the fallback.
  product.category = limited(Column::type, label_bytes_max);
  if (!product.category || product.category->empty()) {
    auto path = limited(Column::category, label_bytes_max);
    if (path) product.category = std::move(path);
  }
  if (columns_.has(Column::tags)) {
    product.tags = split_tags(columns_.value(record, Column::tags));
    const bool fine = product.tags->size() <= tag_count_max &&
                      std::ranges::all_of(*product.tags, [](const std::string& tag) {
                        return acceptable_text(tag, label_bytes_max);
                      });
    if (!fine) report(record, Column::tags, "text_invalid", "at most 250 tags of 255 bytes");
  }
  read_status(record);
  read_option_names(record);
}

void ProductAssembler::read_status(const CsvRecord& record) {
  const std::string text = lower_case(trimmed(columns_.value(record, Column::status)));
  if (!text.empty()) {
    current_->status = parse_status(text);
    if (!current_->status) {
      report(record, Column::status, "status_invalid", "active, draft or archived");
    }
  }
  const std::string published = lower_case(trimmed(columns_.value(record, Column::published)));
  if (published == "false" && current_->status.value_or(Status::active) == Status::active) {
    current_->status = Status::draft;
  }
}

void ProductAssembler::read_option_names(const CsvRecord& record) {
  for (std::size_t i = 0; i < option_count_max; ++i) {
    option_names_[i] = trimmed(columns_.value(record, option_names[i]));
  }
}

/// Image rows repeat the handle and carry nothing of a variant.
bool ProductAssembler::has_variant(const CsvRecord& record) const {
  const auto filled = [&](Column column) {
    return !trimmed(columns_.value(record, column)).empty();
  };
  return std::ranges::any_of(option_values, filled) || filled(Column::sku) || filled(Column::price);
}

void ProductAssembler::read_variant(const CsvRecord& record) {
  const auto options = read_options(record);
  const auto price = read_price(record);
  const auto quantity = read_quantity(record);
  std::string sku{trimmed(columns_.value(record, Column::sku))};
  // Spreadsheets keep long numbers as text by a leading apostrophe.
  if (sku.starts_with('\'')) sku.erase(0, 1);
  if (!acceptable_text(sku, sku_bytes_max)) {
    report(record, Column::sku, "text_invalid", "at most 255 bytes without control characters");
  }
  if (sku.empty()) sku = made_sku(current_->handle, options, current_->variants.size() + 1);
  if (current_->variants.size() == variant_count_max) {
    report(record, Column::handle, "too_many_variants", "a product has at most 250 variants");
  }
  if (!price || current_->refused()) return;

  ImportedVariant variant{.line = columns_.line(record, Column::sku),
                          .quantity_line = columns_.line(record, Column::quantity),
                          .sku = std::move(sku),
                          .options = {},
                          .title = {},
                          .price = *price,
                          .quantity = quantity};
  for (const auto& [option, value] : options) {
    variant.options.emplace(option, value);
    if (!variant.title.empty()) variant.title += " / ";
    variant.title += value;
  }
  current_->variants.push_back(std::move(variant));
}

std::vector<std::pair<std::string, std::string>> ProductAssembler::read_options(
    const CsvRecord& record) {
  std::vector<std::pair<std::string, std::string>> options;
  for (std::size_t i = 0; i < option_count_max; ++i) {
    const std::string_view value = trimmed(columns_.value(record, option_values[i]));
    const std::string& option = option_names_[i];
    // The export's way to say that there is nothing to choose.
    if (option == "Title" && value == "Default Title") continue;
    if (option.empty() && value.empty()) continue;
    if (option.empty()) {
      report(record, option_names[i], "option_name_missing",
             "the product's first row names no such option");
    } else if (value.empty()) {
      report(record, option_values[i], "option_value_missing",
             std::format("the variant has no value for '{}'", option));
    } else if (!acceptable_text(option, label_bytes_max) ||
               !acceptable_text(value, label_bytes_max)) {
      report(record, option_values[i], "text_invalid",
             "at most 255 bytes without control characters");
    } else {
      options.emplace_back(option, value);
    }
  }
  return options;
}

std::optional<Money> ProductAssembler::read_price(const CsvRecord& record) {
  const std::string_view text = trimmed(columns_.value(record, Column::price));
  if (text.empty()) {
    report(record, Column::price, "price_missing", "a variant needs a price");
    return std::nullopt;
  }
  const auto price = Money::parse_decimal(text, currency_);
  if (!price || price->minor_units() < 0 || price->minor_units() > Money::wire_max) {
    report(record, Column::price, "price_invalid",
           std::format("a price in {} is a number such as {}", currency_.code(),
                       Money{1299, currency_}.decimal()));
    return std::nullopt;
  }
  return price;
}

std::optional<std::int64_t> ProductAssembler::read_quantity(const CsvRecord& record) {
  const std::string_view text = trimmed(columns_.value(record, Column::quantity));
  if (text.empty()) return std::nullopt;
  std::int64_t quantity = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || quantity > on_hand_max || quantity < -on_hand_max) {
    report(record, Column::quantity, "quantity_invalid", "a quantity is a whole number");
    return std::nullopt;
  }
  if (quantity >= 0) return quantity;
  // Shops that sell without stock export what they owe; here nobody sells what is not there.
  report(record, Column::quantity, "quantity_negative", "counted as 0");
  current_->problems.back().warning = true;
  return 0;
}

void ProductAssembler::report(const CsvRecord& record, Column column, std::string_view code,
                              std::string detail) {
  const std::string& column_name = columns_.name(column);
  current_->problems.push_back(
      {.line = columns_.line(record, column),
       .column = column_name.empty() ? std::nullopt : std::optional{column_name},
       .code = code,
       .warning = false,
       .handle = current_->handle,
       .detail = std::move(detail)});
}

}  // namespace stoa::product
