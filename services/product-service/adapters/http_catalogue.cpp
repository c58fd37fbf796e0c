#include "services/product-service/adapters/http_catalogue.hpp"

#include <format>
#include <utility>

#include "services/product-service/adapters/http_conditions.hpp"
#include "services/product-service/adapters/list_query.hpp"
#include "services/product-service/adapters/product_json.hpp"

namespace stoa::product {
namespace {

constexpr std::string_view merge_patch = "application/merge-patch+json";
// To be asked again each time: what it says may have sold out.
constexpr std::string_view revalidate = "public, no-cache";
constexpr std::string_view writer = "catalog:write";

http::Response with_product(const Product& product) {
  std::string body = to_json(product);
  const std::string etag = etag_of(product, body);
  http::Response response = http::ok(std::move(body));
  response.add_header("etag", etag);
  return response;
}

std::unexpected<Error> no_such_product() {
  return refuse(ErrorKind::not_found, "product_not_found", "there is no such product");
}

}  // namespace

Answer render_created(const Product& product) {
  std::string body = to_json(product);
  const std::string etag = etag_of(product, body);
  auto response = http::created("/api/v1/products/" + product.id.str(), std::move(body));
  response.add_header("etag", etag);
  return {.status = response.status,
          .headers = std::move(response.headers),
          .body = std::move(response.body)};
}

void CatalogueApi::mount(http::Router& router) {
  using http::anyone;
  using http::needs;
  router.get("/api/v1/products", anyone, [this](Context context, http::Request request) {
    return list(std::move(context), request);
  });
  router.get("/api/v1/products/{id}", anyone, [this](Context context, http::Request request) {
    return find(std::move(context), request);
  });
  router.post("/api/v1/products", needs(writer), [this](Context context, http::Request request) {
    return create(std::move(context), request);
  });
  router.patch(
      "/api/v1/products/{id}", needs(writer),
      [this](Context context, http::Request request) { return patch(std::move(context), request); },
      {.content_type = merge_patch});
  router.del("/api/v1/products/{id}", needs(writer),
             [this](Context context, http::Request request) {
               return archive(std::move(context), request);
             });
  router.patch("/api/v1/variants/{id}", needs(writer),
               [this](Context context, http::Request request) {
                 return patch_variant(std::move(context), request);
               },
               {.content_type = merge_patch});
  router.put("/api/v1/variants/{id}/prices", needs(writer),
             [this](Context context, http::Request request) {
               return put_prices(std::move(context), request);
             });
}

Task<http::Response> CatalogueApi::list(Context context, http::Request request) {
  auto wanted = parse_list_query(request, cursors_, default_currency_);
  if (!wanted) co_return http::problem(wanted.error());

  const Cursors* cursors = &cursors_;
  CachedCatalogue::Render render = [cursors, name = wanted->name](const ProductPage& page) {
    return to_json(page, page.next ? cursors->sign(name, *page.next) : std::string{});
  };
  std::string body;
  if (wanted->finds_nothing) {
    body = render({.total = wanted->query.with_total ? std::optional{ListTotal{}} : std::nullopt});
  } else {
    const PageEnd after = wanted->query.after.value_or(PageEnd{});
    std::string name = std::format("{}\n{}\n{}\n{}\n{}", wanted->name, wanted->query.limit,
                                   after.key, after.id.str(), wanted->query.with_total);
    body = co_await cached_.page(std::move(context), std::move(wanted->query), std::move(name),
                                 std::move(render));
  }
  // The cursor is the last member when there is one, and base64url has nothing to escape.
  constexpr std::string_view member = "\"next_cursor\":\"";
  const auto at = body.rfind(member);
  std::string link;
  if (at != std::string::npos && body.ends_with("\"}")) {
    const std::string_view cursor =
        std::string_view{body}.substr(at + member.size(), body.size() - at - member.size() - 2);
    link = std::format("<{}>; rel=\"next\"", next_target(request.path(), request.query(), cursor));
  }
  http::Response response = http::ok(std::move(body));
  response.add_header("cache-control", revalidate);
  if (!link.empty()) response.add_header("link", link);
  co_return response;
}

Task<http::Response> CatalogueApi::find(Context context, http::Request request) {
  const auto id = http::id_param<ProductId>(request, "id", "product_not_found");
  if (!id) co_return http::problem(id.error());
  if (!request.query().empty()) {
    const auto none = http::QueryString::parse(request, {});
    if (!none) co_return http::problem(none.error());
  }
  auto product = co_await cached_.product(std::move(context), *id);
  const bool staff = request.identity().may(writer);
  const bool visible = product && (product->status == Status::active || staff);
  if (!visible) co_return http::problem(no_such_product().error());

  const bool unchanged = none_match_names(request.header("if-none-match"), product->etag);
  http::Response response = unchanged ? http::Response{.status = 304, .content_type = ""}
                                      : http::ok(std::move(product->body));
  response.add_header("etag", product->etag);
  // What only staff may see stays with them.
  response.add_header("cache-control",
                      product->status == Status::active ? revalidate : "private, no-store");
  co_return response;
}

Task<http::Response> CatalogueApi::create(Context context, http::Request request) {
  auto key = request_key(request);
  if (!key) co_return http::problem(key.error());
  auto product = parse_new_product(request.body());
  if (!product) co_return http::problem(product.error());

  Catalogue::Create command{
      .product = std::move(*product), .actor = actor_of(request), .key = std::move(*key)};
  auto answer = co_await catalogue_.create(std::move(context), std::move(command));
  if (!answer) co_return http::problem(answer.error());
  co_return to_response(std::move(*answer));
}

Task<http::Response> CatalogueApi::patch(Context context, http::Request request) {
  const auto id = http::id_param<ProductId>(request, "id", "product_not_found");
  if (!id) co_return http::problem(id.error());
  const auto version = if_match_version(request);
  if (!version) co_return http::problem(version.error());
  auto changes = parse_product_patch(request.body());
  if (!changes) co_return http::problem(changes.error());

  const auto product =
      co_await catalogue_.patch(std::move(context), *id, *version, std::move(*changes));
  if (!product) co_return http::problem(product.error());
  co_return with_product(*product);
}

Task<http::Response> CatalogueApi::archive(Context context, http::Request request) {
  const auto id = http::id_param<ProductId>(request, "id", "product_not_found");
  if (!id) co_return http::problem(id.error());
  const auto version = if_match_version(request);
  if (!version) co_return http::problem(version.error());

  const auto product = co_await catalogue_.archive(std::move(context), *id, *version);
  if (!product) co_return http::problem(product.error());
  co_return http::no_content();
}

Task<http::Response> CatalogueApi::patch_variant(Context context, http::Request request) {
  const auto id = http::id_param<VariantId>(request, "id", "variant_not_found");
  if (!id) co_return http::problem(id.error());
  const auto version = if_match_version(request);
  if (!version) co_return http::problem(version.error());
  auto changes = parse_variant_patch(request.body());
  if (!changes) co_return http::problem(changes.error());

  const auto product =
      co_await catalogue_.patch_variant(std::move(context), *id, *version, std::move(*changes));
  if (!product) co_return http::problem(product.error());
  co_return with_product(*product);
}

Task<http::Response> CatalogueApi::put_prices(Context context, http::Request request) {
  const auto id = http::id_param<VariantId>(request, "id", "variant_not_found");
  if (!id) co_return http::problem(id.error());
  const auto version = if_match_version(request);
  if (!version) co_return http::problem(version.error());
  auto prices = parse_prices(request.body());
  if (!prices) co_return http::problem(prices.error());

  const auto product =
      co_await catalogue_.set_prices(std::move(context), *id, *version, std::move(*prices));
  if (!product) co_return http::problem(product.error());
  co_return with_product(*product);
}

}  // namespace stoa::product
