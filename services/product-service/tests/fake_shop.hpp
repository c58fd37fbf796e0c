#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// What the database of a shop holds, in memory. The fake stores share it as the real ones share
/// theirs; one suite over both (catalogue_store_test, imports_test) keeps them honest.
struct FakeShop {
  std::chrono::seconds clock{0};  ///< of leases
  std::map<ProductId, Product> products{};
  std::map<VariantId, StockLevel> stock{};
  std::map<VariantId, std::vector<StockMovement>> journal{};
  std::map<Uuid, std::pair<std::string, Answer>> keys{};  ///< fingerprint and first answer
  std::vector<ProductId> told{};                          ///< of product.updated
  std::int64_t movement_count = 0;

  /// As the real store reads it: what is in stock is seen, not remembered.
  Product as_read(Product product) const {
    for (Variant& variant : product.variants) {
      const auto level = stock.find(variant.id);
      variant.in_stock = level != stock.end() && level->second.available() > 0;
    }
    return product;
  }

  /// `movement` says how much and why.
  void move_stock(VariantId variant, StockMovement movement) {
    StockLevel& level = stock.try_emplace(variant, StockLevel{.variant = variant}).first->second;
    level.on_hand += movement.delta;
    if (movement.delta == 0) return;
    movement.number = ++movement_count;
    journal[variant].push_back(std::move(movement));
  }

  std::int64_t sum_of_journal(VariantId variant) const {
    std::int64_t sum = 0;
    const auto movements = journal.find(variant);
    if (movements == journal.end()) return 0;
    for (const StockMovement& movement : movements->second) sum += movement.delta;
    return sum;
  }

  /// Errors: sku_taken.
  Result<void> check_skus(const Product& product) const {
    std::vector<FieldError> taken;
    for (std::size_t i = 0; i < product.variants.size(); ++i) {
      const auto owner = owner_of(product.variants[i].sku);
      if (!owner || *owner == product.id) continue;
      taken.push_back({"/variants/" + std::to_string(i) + "/sku", "sku_taken", "is taken"});
    }
    if (taken.empty()) return {};
    return refuse(ErrorKind::conflict, "sku_taken", "a SKU is taken", std::move(taken));
  }

  std::optional<ProductId> owner_of(const std::string& sku) const {
    for (const auto& [id, product] : products) {
      if (std::ranges::contains(product.variants, sku, &Variant::sku)) return id;
    }
    return std::nullopt;
  }

  void put(const Product& product) {
    products.insert_or_assign(product.id, product);
    told.push_back(product.id);
  }

  /// False when the key was taken.
  bool keep_key(const std::optional<RequestKey>& key, const Answer& answer) {
    return !key || keys.emplace(key->origin, std::pair{key->fingerprint, answer}).second;
  }
};

/// The words a search looks at, their corrections, and how well a product matches.
class FakeSearch {
 public:
  explicit FakeSearch(const FakeShop& shop) {
    for (const auto& [id, product] : shop.products) {
      for (const std::string& word : words_of_product(product)) known_.push_back(word);
    }
  }

  bool matches(const Product& product, const std::vector<std::string>& words) const {
    const auto has = words_of_product(product);
    return std::ranges::all_of(words, [&](const std::string& asked) {
      const std::string word = corrected(asked);
      return std::ranges::any_of(has, [&](const auto& each) { return each.starts_with(word); });
    });
  }

 private:
  static std::vector<std::string> words_of_product(const Product& product) {
    std::string text = product.name + ' ' + product.category.value_or("") + ' ' +
                       product.vendor.value_or("") + ' ' + keywords_of(product) + ' ' +
                       product.description;
    std::vector<std::string> words{""};
    for (char c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (kept) {
        words.back() += c;
      } else if (!words.back().empty()) {
        words.emplace_back();
      }
    }
    return words;
  }

  /// At most one mistake in four letters, two beyond; codes are meant as they are.
  std::string corrected(const std::string& word) const {
    const bool is_code = std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
    const auto begins = [&](const std::string& known) { return known.starts_with(word); };
    if (is_code || word.size() < 4 || std::ranges::any_of(known_, begins)) return word;
    std::string best = word;
    std::size_t least = word.size() > 4 ? 3 : 2;
    for (const std::string& known : known_) {
      const std::size_t mistakes = distance(word, known);
      if (mistakes < least) std::tie(best, least) = std::pair{known, mistakes};
    }
    return best;
  }

  /// Levenshtein's: letters to add, drop or replace.
  static std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::ranges::iota(row, std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < b.size(); ++j) {
        const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
      }
    }
    return row.back();
  }

  std::vector<std::string> known_;
};

class FakeCatalogueStore : public CatalogueStore {
 public:
  explicit FakeCatalogueStore(FakeShop& shop) : shop_{shop} {}

  Task<std::optional<Product>> find(Context, ProductId id) override {
    const auto found = shop_.products.find(id);
    if (found == shop_.products.end()) co_return std::nullopt;
    co_return shop_.as_read(found->second);
  }

  Task<std::optional<ProductId>> product_of(Context, VariantId id) override {
    for (const auto& [product_id, product] : shop_.products) {
      if (std::ranges::contains(product.variants, id, &Variant::id)) co_return product_id;
    }
    co_return std::nullopt;
  }

  Task<ProductPage> list(Context, ListQuery query) override {
    std::vector<Placed> all;
    const FakeSearch search{shop_};
    for (const auto& [id, stored] : shop_.products) {
      if (!wanted(stored, query)) continue;
      if (query.sort == Sort::best && !search.matches(stored, query.words)) continue;
      all.push_back({.place = place_of(stored, query), .product = shop_.as_read(stored)});
      all.back().product.description.clear();
    }
    const bool down =
        query.sort != Sort::oldest && query.sort != Sort::cheapest && query.sort != Sort::name;
    std::ranges::sort(
        all, [down](const Placed& a, const Placed& b) { return down ? b.before(a) : a.before(b); });
    const ListTotal total{.count = std::ssize(all)};
    if (query.after) {
      const Placed end{.place = query.after->key, .product = {.id = {query.after->id}}};
      std::erase_if(all,
                    [&](const Placed& one) { return down ? !one.before(end) : !end.before(one); });
    }
    ProductPage page = page_of(std::move(all), static_cast<std::size_t>(query.limit));
    if (query.with_total) page.total = total;
    co_return page;
  }

  Task<Result<std::optional<Answer>>> look_up(Context, RequestKey key) override {
    const auto found = shop_.keys.find(key.origin);
    if (found == shop_.keys.end()) co_return std::nullopt;
    const auto& [fingerprint, first] = found->second;
    if (fingerprint != key.fingerprint) {
      co_return refuse(ErrorKind::invalid, "idempotency_key_reused", "another request");
    }
    Answer replay = first;
    replay.headers += "Idempotent-Replayed: true\r\n";
    co_return replay;
  }

  Task<Result<Inserted>> insert(Context, InsertProduct command) override {
    if (command.key && shop_.keys.contains(command.key->origin)) co_return Inserted::key_taken;
    for (const auto& [id, product] : shop_.products) {
      if (product.handle == command.product.handle) co_return Inserted::handle_taken;
    }
    auto free = shop_.check_skus(command.product);
    if (!free) co_return std::unexpected(std::move(free.error()));
    shop_.keep_key(command.key, command.answer);
    shop_.put(command.product);
    for (std::size_t i = 0; i < command.stock.size(); ++i) {
      shop_.move_stock(command.product.variants[i].id,
                       {.delta = command.stock[i], .kind = "initial", .actor = command.actor});
    }
    co_return Inserted::stored;
  }

  Task<Result<Product>> change(Context context, ChangeProduct command) override {
    const auto before = co_await find(std::move(context), command.product);
    if (!before) {
      co_return refuse(ErrorKind::not_found, "product_not_found", "there is no such product");
    }
    if (command.version && *command.version != before->version) {
      co_return refuse(ErrorKind::precondition_failed, "etag_mismatch", "it was changed");
    }
    auto product = command.edit(*before);
    if (!product || *product == *before) co_return product;
    auto free = shop_.check_skus(*product);
    if (!free) co_return std::unexpected(std::move(free.error()));
    shop_.put(*product);
    co_return product;
  }

 private:
  /// Keys of equal width sort as what they stand for.
  struct Placed {
    std::string place;
    Product product;

    bool before(const Placed& other) const {
      return std::tie(place, product.id) < std::tie(other.place, other.product.id);
    }
  };

  static std::optional<std::int64_t> price_of(const Product& product, Currency currency) {
    for (const Money& price : lowest_prices(product)) {
      if (price.currency() == currency) return price.minor_units();
    }
    return std::nullopt;
  }

  bool wanted(const Product& product, const ListQuery& query) const {
    const auto price = price_of(product, query.currency);
    const bool by_price = query.price_min || query.price_max || query.sort == Sort::cheapest ||
                          query.sort == Sort::dearest;
    const bool priced = !by_price || (price && *price >= query.price_min.value_or(0) &&
                                      *price <= query.price_max.value_or(Money::wire_max));
    return product.status == Status::active && priced &&
           (!query.category || product.category == query.category) &&
           (!query.in_stock || shop_.as_read(product).in_stock() == *query.in_stock);
  }

  static std::string place_of(const Product& product, const ListQuery& query) {
    const auto wide = [](std::int64_t number) { return std::format("{:020}", number); };
    switch (query.sort) {
      case Sort::newest:
      case Sort::oldest:
        return wide(product.created_at.time_since_epoch().count());
      case Sort::cheapest:
      case Sort::dearest:
        return wide(price_of(product, query.currency).value_or(0));
      case Sort::name:
      case Sort::name_descending:
        return product.name;
      case Sort::best:
        return "";
    }
    std::unreachable();
  }

  static ProductPage page_of(std::vector<Placed> all, std::size_t limit) {
    ProductPage page;
    for (Placed& one : all) {
      if (page.products.size() == limit) {
        const Placed& last = all[limit - 1];
        page.next = PageEnd{.key = last.place, .id = page.products.back().id.uuid};
        break;
      }
      page.products.push_back(std::move(one.product));
    }
    return page;
  }

  FakeShop& shop_;
};

}  // namespace stoa::product
