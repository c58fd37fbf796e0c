#include "services/product-service/adapters/pg_product_rows.hpp"

#include <charconv>
#include <string>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::product {
namespace {

/// "EUR:1299,USD:1399"
std::vector<Money> read_prices(std::string_view text) {
  std::vector<Money> prices;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const std::string_view price = text.substr(0, end);
    const auto currency = Currency::parse(price.substr(0, price.find(':')));
    require(currency.has_value(), "a stored currency is one");
    std::int64_t amount = 0;
    std::from_chars(price.data() + price.find(':') + 1, price.data() + price.size(), amount);
    prices.emplace_back(amount, *currency);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return prices;
}

template <class T>
T read_json(std::string_view text) {
  auto value = json::read<T>(text);
  require(value.has_value(), "stored JSON is as this service wrote it");
  return std::move(*value);
}

Variant read_variant(const postgres::Row& row) {
  return {.id = VariantId{row.uuid(11)},
          .sku = std::string{row.text(12)},
          .options = read_json<Options>(row.text(13)),
          .title = std::string{row.text(14)},
          .prices = read_prices(row.text(15)),
          .in_stock = !row.is_null(16) && row.flag(16)};
}

Product read_product(const postgres::Row& row) {
  const auto status = parse_status(row.text(7));
  require(status.has_value(), "a stored status is one");
  return {.id = ProductId{row.uuid(0)},
          .handle = std::string{row.text(1)},
          .name = std::string{row.text(2)},
          .description = {},
          .category = row.optional_text(3),
          .vendor = row.optional_text(4),
          .tags = read_json<std::vector<std::string>>(row.text(5)),
          .image_url = row.optional_text(6),
          .status = *status,
          .version = row.number(8),
          .created_at = row.instant(9),
          .updated_at = row.instant(10),
          .variants = {}};
}

}  // namespace

std::vector<Product> read_products(const postgres::Rows& rows, Described described) {
  std::vector<Product> products;
  for (const postgres::Row row : rows) {
    const ProductId id{row.uuid(0)};
    if (products.empty() || products.back().id != id) products.push_back(read_product(row));
    Product& product = products.back();
    if (described == Described::yes && !row.text(17).empty()) product.description = row.text(17);
    product.variants.push_back(read_variant(row));
  }
  return products;
}

}  // namespace stoa::product
