#include "services/order-service/adapters/http_product_catalog.hpp"

#include <array>
#include <format>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"
#include "servicekit/runtime/crash_point.hpp"

namespace stoa::order {
namespace {

using runtime::crash_point;

struct WantedLineJson {
  std::string variant_id;
  std::uint32_t quantity = 0;
};

struct ReserveJson {
  std::string id;
  std::string origin;
  std::string buyer;
  std::string currency;
  std::vector<WantedLineJson> lines;
};

struct PricedLineJson {
  std::string variant_id;
  std::string sku;
  std::string name;
  std::uint32_t quantity = 0;
  json::MoneyJson unit_price;
};

struct ReservationJson {
  std::vector<PricedLineJson> lines;
};

struct FieldJson {
  std::string pointer;
  std::string code;
  std::string detail;
};

struct ProblemJson {
  std::string code;
  std::optional<std::string> detail;
  std::optional<std::vector<FieldJson>> errors;
};

// The refusals that our caller is told. Any other is a failing neighbour.
struct KnownRefusal {
  std::string_view theirs;
  std::string_view ours;
  ErrorKind kind;
};
constexpr std::array known_refusals = std::to_array<KnownRefusal>({
    {"variant_not_found", "variant_not_found", ErrorKind::invalid},
    {"currency_not_available", "currency_not_available", ErrorKind::invalid},
    {"out_of_stock", "out_of_stock", ErrorKind::conflict},
    {"reservation_ended", "reservation_ended", ErrorKind::conflict},
    {"too_many_open_orders", "too_many_open_orders", ErrorKind::too_many},
    // The reservation of this key has other lines: the key came with another order.
    {"reservation_reused", "idempotency_key_reused", ErrorKind::invalid},
});

Unavailable not_understood(int status) {
  return Unavailable{std::format("product-service answered {} in an unknown form", status)};
}

Error refusal_of(const http::ClientResponse& response) {
  auto problem = json::read_lenient<ProblemJson>(response.body);
  if (!problem) throw not_understood(response.status);
  for (const KnownRefusal& known : known_refusals) {
    if (known.theirs != problem->code) continue;
    Error error{
        .kind = known.kind, .code = known.ours, .detail = std::move(problem->detail).value_or("")};
    for (FieldJson& field : problem->errors.value_or(std::vector<FieldJson>{})) {
      error.fields.push_back(
          {std::move(field.pointer), std::move(field.code), std::move(field.detail)});
    }
    if (known.kind == ErrorKind::too_many) error.retry_after = std::chrono::seconds{1};
    return error;
  }
  throw Unavailable{std::format("product-service refused with {}", problem->code)};
}

std::vector<PricedLine> priced_lines(const http::ClientResponse& response) {
  auto reservation = json::read_lenient<ReservationJson>(response.body);
  if (!reservation) throw not_understood(response.status);
  std::vector<PricedLine> lines;
  for (PricedLineJson& line : reservation->lines) {
    const auto variant = VariantId::parse(line.variant_id);
    const auto price = json::to_money(line.unit_price);
    if (!variant || !price) throw not_understood(response.status);
    lines.push_back({.variant = *variant,
                     .sku = std::move(line.sku),
                     .name = std::move(line.name),
                     .quantity = line.quantity,
                     .unit_price = *price});
  }
  return lines;
}

std::string reserve_body(const Reserve& command) {
  ReserveJson body{.id = command.id.str(),
                   .origin = command.origin.value.str(),
                   .buyer = command.buyer.str(),
                   .currency = std::string{command.currency.code()},
                   .lines = {}};
  for (const WantedLine& line : command.lines) {
    body.lines.push_back({.variant_id = line.variant.str(), .quantity = line.quantity});
  }
  return json::write(body);
}

}  // namespace

Task<Result<std::vector<PricedLine>>> HttpProductCatalog::reserve(Context context,
                                                                  Reserve command) {
  http::ClientRequest request{.method = http::Method::post,
                              .target = "/internal/v1/reservations",
                              .headers = tokens_.authorization_for("product-service"),
                              .body = reserve_body(command),
                              .idempotent = true};
  crash_point("order.reserve.before_call");
  const auto response = co_await products_.send(std::move(context), std::move(request));
  crash_point("order.reserve.after_call");

  if (response.status == 200) {
    auto lines = priced_lines(response);
    if (lines.size() != command.lines.size()) throw not_understood(response.status);
    co_return lines;
  }
  if (response.status >= 500) throw Unavailable{"product-service cannot reserve now"};
  co_return std::unexpected(refusal_of(response));
}

Task<> HttpProductCatalog::release(Context context, ReservationId id) {
  http::ClientRequest request{
      .method = http::Method::post,
      .target = std::format("/internal/v1/reservations/{}/release", id.str()),
      .headers = tokens_.authorization_for("product-service"),
      .body = "{}",
      .idempotent = true};
  crash_point("order.release.before_call");
  const auto response = co_await products_.send(std::move(context), std::move(request));
  crash_point("order.release.after_call");
  if (response.status != 204) throw Unavailable{"product-service cannot release now"};
}

}  // namespace stoa::order
