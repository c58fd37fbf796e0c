#include "services/product-service/adapters/product_json.hpp"

#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "servicekit/json/json.hpp"
#include "servicekit/json/list_total.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::product {
namespace {

struct NewVariantJson {
  std::string sku;
  std::optional<Options> options;
  std::vector<json::MoneyJson> prices;
  std::optional<std::int64_t> stock;
};

struct NewProductJson {
  std::string name;
  std::optional<std::string> handle;
  std::optional<std::string> description;
  std::optional<std::string> category;
  std::optional<std::string> vendor;
  std::optional<std::vector<std::string>> tags;
  std::optional<std::string> image_url;
  std::optional<std::string> status;
  std::vector<NewVariantJson> variants;
};

struct ProductPatchJson {
  json::Patch<std::string> name;
  json::Patch<std::string> description;
  json::Patch<std::string> category;
  json::Patch<std::string> vendor;
  json::Patch<std::vector<std::string>> tags;
  json::Patch<std::string> image_url;
  json::Patch<std::string> status;
};

struct VariantPatchJson {
  json::Patch<std::string> sku;
  json::Patch<Options> options;
};

struct PricesJson {
  std::vector<json::MoneyJson> prices;
};

struct VariantJson {
  std::string id;
  std::string sku;
  std::string title;
  Options options;
  std::vector<json::MoneyJson> prices;
  bool in_stock = false;
};

struct ProductJson {
  std::string id;
  std::string handle;
  std::string name;
  std::optional<std::string> description;
  std::optional<std::string> category;
  std::optional<std::string> vendor;
  std::vector<std::string> tags;
  std::optional<std::string> image_url;
  std::string status;
  bool in_stock = false;
  std::vector<VariantJson> variants;
  std::string created_at;
  std::string updated_at;
};

// next_cursor stays last: who adds the Link header finds it there.
struct PageJson {
  std::vector<ProductJson> data;
  bool has_more = false;
  std::optional<json::ListTotalJson> total;
  std::optional<std::string> next_cursor;
};

std::unexpected<Error> invalid_body(std::vector<FieldError> fields) {
  return refuse(ErrorKind::invalid, "invalid_body", "the body is not what this resource takes",
                std::move(fields));
}

std::vector<Money> to_prices(const std::vector<json::MoneyJson>& wire, const std::string& pointer,
                             std::vector<FieldError>& errors) {
  std::vector<Money> prices;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    const auto price = json::to_money(wire[i], std::format("{}/{}", pointer, i), errors);
    if (price) prices.push_back(*price);
  }
  return prices;
}

Status to_status(const std::string& text, std::vector<FieldError>& errors) {
  const auto status = parse_status(text);
  if (!status) errors.push_back({"/status", "out_of_range", "active, draft or archived"});
  return status.value_or(Status::active);
}

/// null where a value is demanded.
void demand(bool has_value, std::string pointer, std::vector<FieldError>& errors) {
  if (!has_value) errors.push_back({std::move(pointer), "required", "cannot be removed"});
}

VariantJson to_wire(const Variant& variant) {
  VariantJson wire{.id = variant.id.str(),
                   .sku = variant.sku,
                   .title = variant.title,
                   .options = variant.options,
                   .prices = {},
                   .in_stock = variant.in_stock};
  for (const Money& price : variant.prices) wire.prices.push_back(json::to_json(price));
  return wire;
}

ProductJson to_wire(const Product& product) {
  ProductJson wire{.id = product.id.str(),
                   .handle = product.handle,
                   .name = product.name,
                   .description = std::nullopt,
                   .category = product.category,
                   .vendor = product.vendor,
                   .tags = product.tags,
                   .image_url = product.image_url,
                   .status = std::string{name(product.status)},
                   .in_stock = product.in_stock(),
                   .variants = {},
                   .created_at = rfc3339(product.created_at),
                   .updated_at = rfc3339(product.updated_at)};
  for (const Variant& variant : product.variants) wire.variants.push_back(to_wire(variant));
  return wire;
}

}  // namespace

Result<NewProduct> parse_new_product(std::string_view body) {
  auto wire = json::read<NewProductJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  std::vector<FieldError> errors;
  NewProduct product{.handle = std::move(wire->handle),
                     .name = std::move(wire->name),
                     .description = wire->description.value_or(""),
                     .category = std::move(wire->category),
                     .vendor = std::move(wire->vendor),
                     .tags = wire->tags.value_or(std::vector<std::string>{}),
                     .image_url = std::move(wire->image_url),
                     .status = to_status(wire->status.value_or("active"), errors)};
  if (product.status == Status::archived) {
    errors.push_back({"/status", "out_of_range", "a new product is active or a draft"});
  }
  for (std::size_t i = 0; i < wire->variants.size(); ++i) {
    NewVariantJson& variant = wire->variants[i];
    const std::string pointer = std::format("/variants/{}/prices", i);
    product.variants.push_back({.sku = std::move(variant.sku),
                                .options = variant.options.value_or(Options{}),
                                .prices = to_prices(variant.prices, pointer, errors),
                                .stock = variant.stock.value_or(0)});
  }
  if (!errors.empty()) return invalid_body(std::move(errors));
  return product;
}

Result<ProductPatch> parse_product_patch(std::string_view body) {
  auto wire = json::read<ProductPatchJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  std::vector<FieldError> errors;
  ProductPatch patch;
  const auto take_label = [](json::Patch<std::string>& from,
                             std::optional<std::optional<std::string>>& to) {
    if (from.present) to.emplace(std::move(from.value));
  };
  take_label(wire->category, patch.category);
  take_label(wire->vendor, patch.vendor);
  take_label(wire->image_url, patch.image_url);
  if (wire->name.present) {
    demand(wire->name.value.has_value(), "/name", errors);
    patch.name = std::move(wire->name.value);
  }
  // Removing a text or a list leaves an empty one.
  if (wire->description.present) patch.description = wire->description.value.value_or("");
  if (wire->tags.present) patch.tags = wire->tags.value.value_or(std::vector<std::string>{});
  if (wire->status.present) {
    demand(wire->status.value.has_value(), "/status", errors);
    if (wire->status.value) patch.status = to_status(*wire->status.value, errors);
  }
  if (!errors.empty()) return invalid_body(std::move(errors));
  return patch;
}

Result<VariantPatch> parse_variant_patch(std::string_view body) {
  auto wire = json::read<VariantPatchJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  std::vector<FieldError> errors;
  VariantPatch patch;
  if (wire->sku.present) {
    demand(wire->sku.value.has_value(), "/sku", errors);
    patch.sku = std::move(wire->sku.value);
  }
  if (wire->options.present) patch.options = wire->options.value.value_or(Options{});
  if (!errors.empty()) return invalid_body(std::move(errors));
  return patch;
}

Result<std::vector<Money>> parse_prices(std::string_view body) {
  const auto wire = json::read<PricesJson>(body);
  if (!wire) return std::unexpected(wire.error());
  std::vector<FieldError> errors;
  auto prices = to_prices(wire->prices, "/prices", errors);
  if (!errors.empty()) return invalid_body(std::move(errors));
  return prices;
}

std::string to_json(const Product& product) {
  ProductJson wire = to_wire(product);
  wire.description = product.description;
  return json::write(wire);
}

std::string to_json(const ProductPage& page, const std::string& next_cursor) {
  PageJson wire{.data = {},
                .has_more = page.next.has_value(),
                .total = json::to_json(page.total),
                .next_cursor = std::nullopt};
  for (const Product& product : page.products) wire.data.push_back(to_wire(product));
  if (!next_cursor.empty()) wire.next_cursor = next_cursor;
  return json::write(wire);
}

}  // namespace stoa::product
