#include "services/product-service/domain/import_plan.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <set>
#include <utility>

namespace stoa::product {
namespace {

constexpr std::string_view variants_pointer = "/variants/";

class Planner {
 public:
  Planner(ImportedProduct& imported, ShopBefore& before, const ImportRules& rules)
      : imported_{imported}, before_{before}, rules_{rules} {}

  std::optional<PlannedProduct> plan() {
    if (imported_.refused()) return std::nullopt;
    const auto known = before_.products.find(imported_.handle);
    if (known == before_.products.end() && imported_.name.value_or("").empty()) {
      refuse(imported_.line, imported_.columns.title, "title_missing",
             "a new product needs a title");
      return std::nullopt;
    }
    known == before_.products.end() ? start_new() : start_from(known->second);
    overlay();
    for (const ImportedVariant& variant : imported_.variants) place(variant);
    if (!imported_.refused()) check_all();
    if (imported_.refused()) return std::nullopt;
    settle_kind(known == before_.products.end() ? nullptr : &known->second);
    remember();
    return std::move(planned_);
  }

 private:
  void refuse(std::int64_t line, std::string column, std::string_view code, std::string detail) {
    imported_.problems.push_back({.line = line,
                                  .column = std::move(column),
                                  .code = code,
                                  .warning = false,
                                  .handle = imported_.handle,
                                  .detail = std::move(detail)});
  }

  void start_new() {
    planned_.product.id = rules_.next_product_id();
    planned_.product.handle = imported_.handle;
    planned_.product.created_at = rules_.now;
    planned_.product.updated_at = rules_.now;
  }

  void start_from(const Product& known) { planned_.product = known; }

  void overlay() {
    Product& product = planned_.product;
    const auto set_label = [](std::optional<std::string>& label,
                              const std::optional<std::string>& value) {
      if (!value) return;
      label = value->empty() ? std::nullopt : value;
    };
    if (imported_.name && !imported_.name->empty()) product.name = *imported_.name;
    if (imported_.description) product.description = *imported_.description;
    if (imported_.tags) product.tags = *imported_.tags;
    if (imported_.status) product.status = *imported_.status;
    set_label(product.category, imported_.category);
    set_label(product.vendor, imported_.vendor);
    set_label(product.image_url, imported_.image_url);
  }

  Variant* find(const ImportedVariant& imported) {
    auto& variants = planned_.product.variants;
    auto found = std::ranges::find(variants, imported.sku, &Variant::sku);
    if (found == variants.end()) {
      found = std::ranges::find(variants, imported.options, &Variant::options);
    }
    return found == variants.end() ? nullptr : &*found;
  }

  void place(const ImportedVariant& imported) {
    const auto owner = before_.sku_owners.find(imported.sku);
    if (owner != before_.sku_owners.end() && owner->second != planned_.product.id) {
      return refuse(imported.line, imported_.columns.sku, "sku_taken",
                    "another product has this SKU");
    }
    Variant* variant = find(imported);
    const bool is_new = variant == nullptr;
    if (is_new) {
      planned_.product.variants.push_back({.id = rules_.next_variant_id()});
      variant = &planned_.product.variants.back();
      planned_.new_variants.push_back(variant->id);
      planned_.new_stock.push_back({variant->id, imported.quantity.value_or(0)});
    }
    if (!placed_.insert(variant->id).second) {
      return refuse(imported.line, imported_.columns.sku, "variant_repeated",
                    "an earlier row has the same SKU or the same options");
    }
    lines_[variant->id] = imported.line;
    variant->sku = imported.sku;
    variant->options = imported.options;
    variant->title = imported.title;
    set_price(*variant, imported.price);
    if (!is_new && rules_.set_stock && imported.quantity) set_stock(*variant, imported);
  }

  static void set_price(Variant& variant, Money price) {
    std::erase_if(variant.prices,
                  [&](const Money& other) { return other.currency() == price.currency(); });
    variant.prices.push_back(price);
    std::ranges::sort(variant.prices, {}, [](const Money& p) { return p.currency().code(); });
  }

  void set_stock(const Variant& variant, const ImportedVariant& imported) {
    const auto level = before_.stock.find(variant.id);
    if (level == before_.stock.end()) return;
    const std::int64_t delta = *imported.quantity - level->second.on_hand;
    if (delta == 0) return;
    if (*imported.quantity < level->second.reserved) {
      return refuse(imported.quantity_line, imported_.columns.quantity, "stock_below_reserved",
                    std::format("{} are reserved by open orders", level->second.reserved));
    }
    planned_.stock_changes.push_back({variant.id, delta});
  }

  /// The rules of a product hold for an imported one, too; a pointer becomes a line.
  void check_all() {
    auto fine = check(planned_.product);
    if (fine) return;
    for (FieldError& field : fine.error().fields) {
      std::int64_t line = imported_.line;
      if (field.pointer.starts_with(variants_pointer)) {
        std::size_t index = 0;
        const char* const digits = field.pointer.data() + variants_pointer.size();
        std::from_chars(digits, field.pointer.data() + field.pointer.size(), index);
        const auto found = lines_.find(planned_.product.variants[index].id);
        if (found != lines_.end()) line = found->second;
      }
      imported_.problems.push_back({.line = line,
                                    .column = std::nullopt,
                                    .code = "product_invalid",
                                    .warning = false,
                                    .handle = imported_.handle,
                                    .detail = field.pointer + ": " + field.detail});
    }
  }

  void settle_kind(const Product* known) {
    if (known == nullptr) {
      planned_.kind = PlannedProduct::Kind::created;
    } else if (planned_.product != *known) {
      planned_.kind = PlannedProduct::Kind::updated;
      ++planned_.product.version;
      planned_.product.updated_at = rules_.now;
    } else if (!planned_.stock_changes.empty()) {
      planned_.kind = PlannedProduct::Kind::updated;
    }
  }

  void remember() {
    for (const Variant& variant : planned_.product.variants) {
      before_.sku_owners[variant.sku] = planned_.product.id;
    }
    for (const NewStock& stock : planned_.new_stock) {
      before_.stock[stock.variant] = {.variant = stock.variant, .on_hand = stock.on_hand};
    }
    for (const StockChange& change : planned_.stock_changes) {
      before_.stock.at(change.variant).on_hand += change.delta;
    }
    before_.products.insert_or_assign(planned_.product.handle, planned_.product);
  }

  ImportedProduct& imported_;
  ShopBefore& before_;
  const ImportRules& rules_;
  PlannedProduct planned_;
  std::set<VariantId> placed_;
  std::map<VariantId, std::int64_t> lines_;
};

}  // namespace

std::optional<PlannedProduct> plan(ImportedProduct& imported, ShopBefore& before,
                                   const ImportRules& rules) {
  return Planner{imported, before, rules}.plan();
}

}  // namespace stoa::product
