#include "services/product-service/adapters/cached_catalogue.hpp"

#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/product-service/adapters/http_conditions.hpp"
#include "services/product-service/adapters/product_json.hpp"

namespace stoa::product {
namespace {

constexpr std::chrono::seconds product_ttl{300};
constexpr std::chrono::seconds generation_ttl{300};
// How long a page may be wrong when Redis was away while its generation ended.
constexpr std::chrono::seconds page_ttl{10};
constexpr std::string_view generation_key = "products:generation";

std::string product_key(ProductId id) { return "products:by-id:" + id.uuid.str(); }

/// Status and ETag, a line each, then the body.
std::string packed(const RenderedProduct& product) {
  std::string text{name(product.status)};
  text += '\n';
  text += product.etag;
  text += '\n';
  text += product.body;
  return text;
}

std::optional<RenderedProduct> unpacked(std::string text) {
  const auto first = text.find('\n');
  const auto second = first == std::string::npos ? first : text.find('\n', first + 1);
  if (second == std::string::npos) return std::nullopt;
  const auto status = parse_status(std::string_view{text}.substr(0, first));
  if (!status) return std::nullopt;
  std::string etag = text.substr(first + 1, second - first - 1);
  text.erase(0, second + 1);
  return RenderedProduct{.status = *status, .etag = std::move(etag), .body = std::move(text)};
}

Task<std::optional<std::string>> new_generation() { co_return base64url(crypto::random_bytes(9)); }

}  // namespace

Task<std::optional<RenderedProduct>> CachedCatalogue::product(Context context, ProductId id) {
  std::optional<std::string> text;
  if (cache_ == nullptr) {
    text = co_await load_product(std::move(context), id);
  } else {
    redis::Cache::Load load = [this, id](Context inner) {
      return load_product(std::move(inner), id);
    };
    text = co_await cache_->get(std::move(context), product_key(id), product_ttl, std::move(load));
  }
  if (!text) co_return std::nullopt;
  co_return unpacked(std::move(*text));
}

Task<std::optional<std::string>> CachedCatalogue::load_product(Context context, ProductId id) {
  const auto product = co_await catalogue_->find(std::move(context), id);
  if (!product) co_return std::nullopt;
  RenderedProduct rendered{.status = product->status, .body = to_json(*product)};
  rendered.etag = etag_of(*product, rendered.body);
  co_return packed(rendered);
}

Task<std::string> CachedCatalogue::page(Context context, ListQuery query, std::string name,
                                        Render render) {
  std::optional<std::string> text;
  if (cache_ == nullptr) {
    text = co_await load_page(std::move(context), std::move(query), std::move(render));
  } else {
    redis::Cache::Load start = [](Context) { return new_generation(); };
    const auto generation = co_await cache_->get(context, std::string{generation_key},
                                                 generation_ttl, std::move(start));
    require(generation.has_value(), "a generation is always made");
    const auto digest = crypto::sha256(name);
    std::string key = "products:page:" + *generation + ':' + hex(digest);
    redis::Cache::Load load = [this, query = std::move(query),
                               render = std::move(render)](Context inner) {
      return load_page(std::move(inner), query, render);
    };
    text = co_await cache_->get(std::move(context), std::move(key), page_ttl, std::move(load));
  }
  require(text.has_value(), "a page is always made");
  co_return std::move(*text);
}

Task<std::optional<std::string>> CachedCatalogue::load_page(Context context, ListQuery query,
                                                            Render render) {
  const auto page = co_await catalogue_->list(std::move(context), std::move(query));
  co_return render(page);
}

Task<> CachedCatalogue::forget(Context context, std::vector<ProductId> products) {
  if (cache_ == nullptr) co_return;
  std::vector<std::string> keys{std::string{generation_key}};
  for (const ProductId id : products) keys.push_back(product_key(id));
  co_await cache_->invalidate(std::move(context), std::move(keys));
}

}  // namespace stoa::product
