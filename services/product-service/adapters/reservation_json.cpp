#include "services/product-service/adapters/reservation_json.hpp"

#include <format>
#include <optional>
#include <utility>
#include <vector>

#include "servicekit/json/json.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::product {
namespace {

struct WantedLineJson {
  std::string variant_id;
  std::int64_t quantity = 0;
};

struct ReserveJson {
  std::string id;
  std::string origin;
  std::string buyer;
  std::string currency;
  std::vector<WantedLineJson> lines;
};

struct ReservedLineJson {
  std::string variant_id;
  std::string product_id;
  std::string sku;
  std::string name;
  std::int64_t quantity = 0;
  json::MoneyJson unit_price;
};

struct ReservationJson {
  std::string id;
  std::string expires_at;
  std::vector<ReservedLineJson> lines;
};

struct AbandonJson {
  std::string origin;
};

struct FateJson {
  std::string state;
  std::optional<std::string> order_id;
  std::optional<std::string> order_status;
};

struct SettledJson {
  std::string reservation_id;
};

std::unexpected<Error> invalid_body(std::vector<FieldError> fields) {
  return refuse(ErrorKind::invalid, "invalid_body", "the body is not what this resource takes",
                std::move(fields));
}

}  // namespace

Result<ReserveStock> parse_reserve(std::string_view body) {
  const auto wire = json::read<ReserveJson>(body);
  if (!wire) return std::unexpected(wire.error());
  std::vector<FieldError> errors;
  const auto demand = [&](bool fine, std::string pointer) {
    if (!fine) errors.push_back({std::move(pointer), "out_of_range", "is none"});
  };
  const auto id = ReservationId::parse(wire->id);
  const auto origin = Uuid::parse(wire->origin);
  const auto buyer = UserId::parse(wire->buyer);
  const auto currency = Currency::parse(wire->currency);
  demand(id.has_value(), "/id");
  demand(origin.has_value(), "/origin");
  demand(buyer.has_value(), "/buyer");
  demand(currency.has_value(), "/currency");
  if (!errors.empty()) return invalid_body(std::move(errors));

  ReserveStock command{
      .id = *id, .origin = *origin, .buyer = *buyer, .currency = *currency, .lines = {}};
  for (const WantedLineJson& line : wire->lines) {
    command.lines.push_back({.variant = VariantId::parse(line.variant_id).value_or(VariantId{}),
                             .quantity = line.quantity});
  }
  return command;
}

std::string to_json(const Reservation& reservation) {
  ReservationJson wire{
      .id = reservation.id.str(), .expires_at = rfc3339(reservation.expires_at), .lines = {}};
  for (const ReservedLine& line : reservation.lines) {
    wire.lines.push_back({.variant_id = line.variant.str(),
                          .product_id = line.product.str(),
                          .sku = line.sku,
                          .name = line.name,
                          .quantity = line.quantity,
                          .unit_price = json::to_json(line.unit_price)});
  }
  return json::write(wire);
}

std::string abandon_json(Uuid origin) { return json::write(AbandonJson{.origin = origin.str()}); }

Result<ReservationFate> parse_fate(std::string_view body) {
  auto wire = json::read_lenient<FateJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));
  return ReservationFate{.abandoned = wire->state == "abandoned",
                         .order_status = wire->order_status.value_or("")};
}

Result<ReservationId> parse_settled(std::string_view data) {
  const auto wire = json::read_lenient<SettledJson>(data);
  if (!wire) return std::unexpected(wire.error());
  const auto id = ReservationId::parse(wire->reservation_id);
  if (!id) return invalid_body({{"/reservation_id", "out_of_range", "is no reservation's id"}});
  return *id;
}

}  // namespace stoa::product
