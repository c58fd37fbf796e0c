#include "services/product-service/domain/product.hpp"

#include <algorithm>
#include <format>
#include <set>
#include <utility>

#include "servicekit/core/encoding.hpp"

namespace stoa::product {
namespace {

/// Gathers every mistake, so that a caller mends them in one go.
class Checks {
 public:
  void expect(bool fine, std::string pointer, std::string_view code, std::string detail) {
    if (!fine) fields_.push_back({std::move(pointer), std::string{code}, std::move(detail)});
  }
  void text(std::string_view value, std::size_t bytes_max, std::string pointer) {
    expect(acceptable_text(value, bytes_max), std::move(pointer), "out_of_range",
           std::format("at most {} bytes of UTF-8 without control characters", bytes_max));
  }
  void filled_text(std::string_view value, std::size_t bytes_max, std::string pointer) {
    if (value.empty()) {
      expect(false, std::move(pointer), "required", "must not be empty");
    } else {
      text(value, bytes_max, std::move(pointer));
    }
  }
  Result<void> outcome() && {
    if (fields_.empty()) return {};
    return refuse(ErrorKind::invalid, "invalid_product", "the product breaks a rule",
                  std::move(fields_));
  }

 private:
  std::vector<FieldError> fields_;
};

void check_prices(Checks& checks, const std::vector<Money>& prices, const std::string& at) {
  checks.expect(!prices.empty() && prices.size() <= price_count_max, at, "out_of_range",
                std::format("1 to {} prices", price_count_max));
  std::set<Currency> seen;
  for (std::size_t i = 0; i < prices.size(); ++i) {
    checks.expect(prices[i].minor_units() >= 0 && prices[i].minor_units() <= Money::wire_max,
                  std::format("{}/{}/amount", at, i), "out_of_range", "0 to 2^53-1 minor units");
    checks.expect(seen.insert(prices[i].currency()).second, std::format("{}/{}/currency", at, i),
                  "repeated", "one price a currency");
  }
}

void check_options(Checks& checks, const Options& options, const std::string& at) {
  checks.expect(options.size() <= option_count_max, at, "out_of_range",
                std::format("at most {} options", option_count_max));
  for (const auto& [option, value] : options) {
    checks.filled_text(option, label_bytes_max, at);
    checks.filled_text(value, label_bytes_max, at);
  }
}

void check_variants(Checks& checks, const std::vector<Variant>& variants) {
  checks.expect(!variants.empty() && variants.size() <= variant_count_max, "/variants",
                "out_of_range", std::format("1 to {} variants", variant_count_max));
  std::set<std::string_view> skus;
  std::set<Options> combinations;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const Variant& variant = variants[i];
    const std::string at = std::format("/variants/{}", i);
    checks.filled_text(variant.sku, sku_bytes_max, at + "/sku");
    check_options(checks, variant.options, at + "/options");
    check_prices(checks, variant.prices, at + "/prices");
    checks.expect(skus.insert(variant.sku).second, at + "/sku", "repeated",
                  "a SKU names one variant");
    checks.expect(combinations.insert(variant.options).second, at + "/options", "repeated",
                  "two variants have the same options");
  }
}

void check_labels(Checks& checks, const Product& product) {
  if (product.category) checks.filled_text(*product.category, label_bytes_max, "/category");
  if (product.vendor) checks.filled_text(*product.vendor, label_bytes_max, "/vendor");
  if (product.image_url) checks.filled_text(*product.image_url, url_bytes_max, "/image_url");
  checks.expect(product.tags.size() <= tag_count_max, "/tags", "out_of_range",
                std::format("at most {} tags", tag_count_max));
  for (std::size_t i = 0; i < product.tags.size(); ++i) {
    checks.filled_text(product.tags[i], label_bytes_max, std::format("/tags/{}", i));
  }
}

void sort_prices(std::vector<Money>& prices) {
  std::ranges::sort(prices, {}, [](const Money& price) { return price.currency().code(); });
}

Result<Product> next_version(Product product, Instant now) {
  if (auto fine = check(product); !fine) return std::unexpected(std::move(fine.error()));
  ++product.version;
  product.updated_at = now;
  return product;
}

std::unexpected<Error> is_archived() {
  return refuse(ErrorKind::conflict, "product_archived",
                "an archived product is changed only by making it active or a draft again");
}

Variant* find_variant(Product& product, VariantId id) {
  const auto found = std::ranges::find(product.variants, id, &Variant::id);
  return found == product.variants.end() ? nullptr : &*found;
}

std::unexpected<Error> no_such_variant() {
  return refuse(ErrorKind::not_found, "variant_not_found", "there is no such variant");
}

}  // namespace

Result<void> check(const Product& product) {
  Checks checks;
  checks.filled_text(product.name, name_bytes_max, "/name");
  checks.text(product.description, description_bytes_max, "/description");
  checks.expect(valid_handle(product.handle), "/handle", "out_of_range",
                "lower-case letters, digits and dashes, at most 255 bytes");
  check_labels(checks, product);
  check_variants(checks, product.variants);
  return std::move(checks).outcome();
}

std::string_view name(Status status) {
  switch (status) {
    case Status::active:
      return "active";
    case Status::draft:
      return "draft";
    case Status::archived:
      return "archived";
  }
  std::unreachable();
}

std::optional<Status> parse_status(std::string_view text) {
  for (const Status status : {Status::active, Status::draft, Status::archived}) {
    if (name(status) == text) return status;
  }
  return std::nullopt;
}

bool Product::in_stock() const { return std::ranges::any_of(variants, &Variant::in_stock); }

Result<Product> make_product(const NewProduct& wanted) {
  Product product{.id = wanted.id,
                  .handle = wanted.handle.value_or(handle_from(wanted.name)),
                  .name = wanted.name,
                  .description = wanted.description,
                  .category = wanted.category,
                  .vendor = wanted.vendor,
                  .tags = wanted.tags,
                  .image_url = wanted.image_url,
                  .status = wanted.status,
                  .version = 1,
                  .created_at = wanted.now,
                  .updated_at = wanted.now,
                  .variants = {}};
  std::vector<FieldError> stock_errors;
  for (const NewVariant& variant : wanted.variants) {
    product.variants.push_back({.id = variant.id,
                                .sku = variant.sku,
                                .options = variant.options,
                                .title = title_of(variant.options),
                                .prices = variant.prices,
                                .in_stock = variant.stock > 0});
    if (variant.stock < 0 || variant.stock > on_hand_max) {
      stock_errors.push_back({std::format("/variants/{}/stock", product.variants.size() - 1),
                              "out_of_range", std::format("0 to {}", on_hand_max)});
    }
  }
  auto fine = check(product);
  if (!fine) {
    fine.error().fields.insert(fine.error().fields.end(), stock_errors.begin(), stock_errors.end());
    return std::unexpected(std::move(fine.error()));
  }
  if (!stock_errors.empty()) {
    return refuse(ErrorKind::invalid, "invalid_product", "the product breaks a rule", stock_errors);
  }
  for (Variant& variant : product.variants) sort_prices(variant.prices);
  return product;
}

Result<Product> patched(Product product, const ProductPatch& patch, Instant now) {
  const bool revived = patch.status && *patch.status != Status::archived;
  if (product.status == Status::archived && !revived) return is_archived();
  if (patch.name) product.name = *patch.name;
  if (patch.description) product.description = *patch.description;
  if (patch.category) product.category = *patch.category;
  if (patch.vendor) product.vendor = *patch.vendor;
  if (patch.image_url) product.image_url = *patch.image_url;
  if (patch.tags) product.tags = *patch.tags;
  if (patch.status) product.status = *patch.status;
  return next_version(std::move(product), now);
}

Result<Product> with_variant(Product product, VariantId id, const VariantPatch& patch,
                             Instant now) {
  if (product.status == Status::archived) return is_archived();
  Variant* const variant = find_variant(product, id);
  if (variant == nullptr) return no_such_variant();
  if (patch.sku) variant->sku = *patch.sku;
  if (patch.options) {
    variant->options = *patch.options;
    variant->title = title_of(variant->options);
  }
  return next_version(std::move(product), now);
}

Result<Product> with_prices(Product product, VariantId id, std::vector<Money> prices, Instant now) {
  if (product.status == Status::archived) return is_archived();
  Variant* const variant = find_variant(product, id);
  if (variant == nullptr) return no_such_variant();

  Checks checks;
  check_prices(checks, prices, "/prices");
  if (auto fine = std::move(checks).outcome(); !fine) {
    return std::unexpected(std::move(fine.error()));
  }
  sort_prices(prices);
  variant->prices = std::move(prices);
  return next_version(std::move(product), now);
}

Product archived(Product product, Instant now) {
  if (product.status == Status::archived) return product;
  product.status = Status::archived;
  ++product.version;
  product.updated_at = now;
  return product;
}

std::string handle_from(std::string_view name) {
  std::string handle;
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool kept = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (kept) {
      handle += lower;
    } else if (!handle.empty() && handle.back() != '-') {
      handle += '-';
    }
    if (handle.size() == handle_bytes_max) break;
  }
  while (handle.ends_with('-')) handle.pop_back();
  return handle.empty() ? "product" : handle;
}

// Shops in other alphabets have handles in them: bytes of UTF-8 are let through.
bool valid_handle(std::string_view handle) {
  if (handle.empty() || handle.size() > handle_bytes_max || !valid_utf8(handle)) return false;
  return std::ranges::all_of(handle, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || byte >= 0x80;
  });
}

std::string title_of(const Options& options) {
  std::string title;
  for (const auto& [option, value] : options) {
    if (!title.empty()) title += " / ";
    title += value;
  }
  return title;
}

std::string keywords_of(const Product& product) {
  std::set<std::string_view> words;
  words.insert(product.tags.begin(), product.tags.end());
  for (const Variant& variant : product.variants) {
    words.insert(variant.sku);
    for (const auto& [option, value] : variant.options) words.insert(value);
  }
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

std::vector<Money> lowest_prices(const Product& product) {
  std::map<std::string_view, Money> lowest;
  for (const Variant& variant : product.variants) {
    for (const Money& price : variant.prices) {
      const auto [found, added] = lowest.emplace(price.currency().code(), price);
      if (!added && price.minor_units() < found->second.minor_units()) found->second = price;
    }
  }
  std::vector<Money> prices;
  prices.reserve(lowest.size());
  for (const auto& [code, price] : lowest) prices.push_back(price);
  return prices;
}

bool acceptable_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max || !valid_utf8(text)) return false;
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F;
  });
}

}  // namespace stoa::product
