#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"

// What a product is. Pure: no clock, no database, no JSON, no coroutines.
namespace stoa::product {

// Lengths are bytes of UTF-8.
inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::size_t handle_bytes_max = 255;
inline constexpr std::size_t description_bytes_max = 512 * 1024;
inline constexpr std::size_t label_bytes_max = 255;  ///< category, vendor, a tag, an option
inline constexpr std::size_t url_bytes_max = 2'048;
inline constexpr std::size_t sku_bytes_max = 255;
inline constexpr std::size_t tag_count_max = 250;
inline constexpr std::size_t option_count_max = 3;  ///< as many as the shops we import from have
inline constexpr std::size_t variant_count_max = 250;
inline constexpr std::size_t price_count_max = 32;  ///< currencies a variant
inline constexpr std::int64_t on_hand_max = 1'000'000'000;

enum class Status : std::uint8_t { active, draft, archived };
std::string_view name(Status status);
std::optional<Status> parse_status(std::string_view text);

/// By the name of the option: "Size" → "M". Two variants of a product never share all of them.
using Options = std::map<std::string, std::string>;

struct Variant {
  VariantId id{};
  std::string sku{};
  Options options{};
  std::string title{};  ///< "M / Red" in the order the options were given; "" for the only variant
  std::vector<Money> prices{};  ///< at most one a currency, ordered by its code
  bool in_stock = false;        ///< as read; never written back

  friend bool operator==(const Variant&, const Variant&) = default;
};

struct Product {
  ProductId id{};
  std::string handle{};  ///< unique in the shop; what an import finds a product by
  std::string name{};
  std::string description{};  ///< HTML as the shop wrote it; whoever shows it makes it safe
  std::optional<std::string> category{};
  std::optional<std::string> vendor{};
  std::vector<std::string> tags{};
  std::optional<std::string> image_url{};
  Status status = Status::active;
  std::int64_t version = 1;  ///< one more for each edit of the product or a variant of it
  Instant created_at{};
  Instant updated_at{};
  std::vector<Variant> variants{};

  bool in_stock() const;
  friend bool operator==(const Product&, const Product&) = default;
};

struct NewVariant {
  VariantId id{};
  std::string sku{};
  Options options{};
  std::vector<Money> prices{};
  std::int64_t stock = 0;  ///< units on hand at the start
};

struct NewProduct {
  ProductId id{};
  std::optional<std::string> handle{};  ///< made from the name when absent
  std::string name{};
  std::string description{};
  std::optional<std::string> category{};
  std::optional<std::string> vendor{};
  std::vector<std::string> tags{};
  std::optional<std::string> image_url{};
  Status status = Status::active;
  std::vector<NewVariant> variants{};
  Instant now{};
};

/// Every rule of a product. Errors, kind invalid, each wrong member told by its pointer:
/// invalid_product.
Result<void> check(const Product& product);

/// Errors: invalid_product.
Result<Product> make_product(const NewProduct& wanted);

/// What a merge patch may say of a product; absent members stay.
struct ProductPatch {
  std::optional<std::string> name{};
  std::optional<std::string> description{};
  std::optional<std::optional<std::string>> category{};  ///< an empty inner one removes it
  std::optional<std::optional<std::string>> vendor{};
  std::optional<std::optional<std::string>> image_url{};
  std::optional<std::vector<std::string>> tags{};
  std::optional<Status> status{};
};

/// The edits below return the product in its next version. Errors: invalid_product;
/// product_archived (conflict) for all of them but reactivating.
Result<Product> patched(Product product, const ProductPatch& patch, Instant now);

struct VariantPatch {
  std::optional<std::string> sku{};
  std::optional<Options> options{};
};
Result<Product> with_variant(Product product, VariantId id, const VariantPatch& patch, Instant now);
Result<Product> with_prices(Product product, VariantId id, std::vector<Money> prices, Instant now);
/// Archiving the archived changes nothing.
Product archived(Product product, Instant now);

/// Lower-case ASCII letters, digits and single dashes; "product" when nothing is left of `name`.
std::string handle_from(std::string_view name);
bool valid_handle(std::string_view handle);

/// "M / Red": the values in the map's order.
std::string title_of(const Options& options);

/// What a buyer may type beside the product's own text: tags, option values, SKUs.
std::string keywords_of(const Product& product);

/// The lowest price of each currency, ordered by its code.
std::vector<Money> lowest_prices(const Product& product);

/// The rule of text fields: valid UTF-8, no control characters but tab and line ends, a length.
bool acceptable_text(std::string_view text, std::size_t bytes_max);

}  // namespace stoa::product
