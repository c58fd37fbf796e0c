#include "services/product-service/adapters/http_stock.hpp"

#include <charconv>
#include <format>
#include <utility>

#include "servicekit/http/list_total.hpp"

#include "services/product-service/adapters/http_conditions.hpp"
#include "services/product-service/adapters/list_query.hpp"
#include "services/product-service/adapters/stock_json.hpp"

namespace stoa::product {
namespace {

constexpr std::string_view writer = "catalog:write";
constexpr std::string_view private_data = "private, no-store";

}  // namespace

Answer render_adjusted(const StockLevel& level) { return {.status = 200, .body = to_json(level)}; }

void StockApi::mount(http::Router& router) {
  using http::needs;
  router.get("/api/v1/variants/{id}/stock", needs(writer),
             [this](Context context, http::Request request) {
               return level(std::move(context), request);
             });
  router.post("/api/v1/variants/{id}/stock-adjustments", needs(writer),
              [this](Context context, http::Request request) {
                return adjust(std::move(context), request);
              });
  router.get("/api/v1/variants/{id}/stock-movements", needs(writer),
             [this](Context context, http::Request request) {
               return movements(std::move(context), request);
             });
}

Task<http::Response> StockApi::level(Context context, http::Request request) {
  const auto id = http::id_param<VariantId>(request, "id", "variant_not_found");
  if (!id) co_return http::problem(id.error());
  const auto level = co_await stock_.level(std::move(context), *id);
  if (!level) co_return http::problem(level.error());

  http::Response response = http::ok(to_json(*level));
  response.add_header("cache-control", private_data);
  co_return response;
}

Task<http::Response> StockApi::adjust(Context context, http::Request request) {
  const auto id = http::id_param<VariantId>(request, "id", "variant_not_found");
  if (!id) co_return http::problem(id.error());
  auto key = request_key(request);
  if (!key) co_return http::problem(key.error());
  auto adjustment = parse_adjustment(request.body());
  if (!adjustment) co_return http::problem(adjustment.error());

  Stock::Adjust command{.variant = *id,
                        .delta = adjustment->delta,
                        .reason = std::move(adjustment->reason),
                        .actor = actor_of(request),
                        .key = std::move(*key)};
  auto answer = co_await stock_.adjust(std::move(context), std::move(command));
  if (!answer) co_return http::problem(answer.error());
  co_return to_response(std::move(*answer));
}

Task<http::Response> StockApi::movements(Context context, http::Request request) {
  const auto id = http::id_param<VariantId>(request, "id", "variant_not_found");
  if (!id) co_return http::problem(id.error());
  const auto parameters =
      http::QueryString::parse(request, {"limit", "cursor", http::include_total});
  if (!parameters) co_return http::problem(parameters.error());
  const auto limit = parameters->number("limit", 1, page_limit_max);
  if (!limit) co_return http::problem(limit.error());
  const std::string list = "stock-movements\n" + id->str();
  const auto total = http::wants_total(*parameters);
  if (!total) co_return http::problem(total.error());
  ListMovements query{
      .variant = *id, .limit = limit->value_or(page_limit_default), .with_total = *total};
  if (const auto cursor = parameters->text("cursor")) {
    const auto end = cursors_.verify(list, *cursor);
    if (!end) co_return http::problem(end.error());
    std::int64_t number = 0;
    std::from_chars(end->key.data(), end->key.data() + end->key.size(), number);
    query.before = number;
  }
  const auto page = co_await stock_.movements(std::move(context), query);
  if (!page) co_return http::problem(page.error());

  std::string next;
  if (page->next) next = cursors_.sign(list, {.key = std::to_string(*page->next), .id = id->uuid});
  http::Response response = http::ok(to_json(*page, next));
  response.add_header("cache-control", private_data);
  if (!next.empty()) {
    const std::string target = next_target(request.path(), request.query(), next);
    response.add_header("link", std::format("<{}>; rel=\"next\"", target));
  }
  co_return response;
}

}  // namespace stoa::product
