#include "services/order-service/adapters/order_json.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/json/list_total.hpp"
#include "servicekit/json/money.hpp"

namespace stoa::order {
namespace {

using json::MoneyJson;

constexpr std::size_t token_bytes_max = 100;

struct WantedLineJson {
  std::string variant_id;
  std::uint32_t quantity = 0;
};

struct AddressJson {
  std::string name;
  std::string line1;
  std::optional<std::string> line2;
  std::string city;
  std::optional<std::string> region;
  std::string postal_code;
  std::string country;
};

struct PaymentMethodJson {
  std::string token;
};

struct PlaceOrderJson {
  std::vector<WantedLineJson> lines;
  std::string currency;
  AddressJson shipping_address;
  std::optional<std::string> shipping_method;
  PaymentMethodJson payment_method;
};

struct LineJson {
  std::string variant_id;
  std::string sku;
  std::string name;
  std::uint32_t quantity = 0;
  MoneyJson unit_price;
  MoneyJson total;
};

struct OrderJson {
  std::string id;
  std::string number;
  std::string status;
  std::string customer_id;
  std::vector<LineJson> lines;
  MoneyJson subtotal;
  MoneyJson discount;
  MoneyJson tax;
  MoneyJson shipping;
  MoneyJson total;
  std::string currency;
  AddressJson shipping_address;
  std::string shipping_method;
  std::optional<std::string> reason;
  std::string created_at;
  std::string updated_at;
};

struct PageJson {
  std::vector<OrderJson> data;
  bool has_more = false;
  std::optional<json::ListTotalJson> total;
  std::optional<std::string> next_cursor;
};

struct HistoryEntryJson {
  std::string type;
  std::string status;
  std::int64_t version = 0;
  std::optional<std::string> reason;
  std::string at;
};

struct HistoryJson {
  std::vector<HistoryEntryJson> data;
  bool has_more = false;
};

struct FactsJson {
  std::string order_id;
  std::string number;
  std::string customer_id;
  std::string reservation_id;
  std::vector<LineJson> lines;
  MoneyJson total;
};

bool is_payment_token(std::string_view token) {
  return token.starts_with("tok_") && token.size() > 4 && token.size() <= token_bytes_max &&
         std::ranges::all_of(token, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

std::vector<WantedLine> wanted_lines(const std::vector<WantedLineJson>& lines,
                                     std::vector<FieldError>& errors) {
  std::vector<WantedLine> wanted;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto variant = VariantId::parse(lines[i].variant_id);
    if (variant) {
      wanted.push_back({.variant = *variant, .quantity = lines[i].quantity});
    } else {
      errors.push_back(
          {std::format("/lines/{}/variant_id", i), "bad_id", "a variant's id starts with var_"});
    }
  }
  return wanted;
}

Address to_address(AddressJson wire) {
  return {.name = std::move(wire.name),
          .line1 = std::move(wire.line1),
          .line2 = std::move(wire.line2),
          .city = std::move(wire.city),
          .region = std::move(wire.region),
          .postal_code = std::move(wire.postal_code),
          .country = std::move(wire.country)};
}

AddressJson wire_address(const Address& address) {
  return {.name = address.name,
          .line1 = address.line1,
          .line2 = address.line2,
          .city = address.city,
          .region = address.region,
          .postal_code = address.postal_code,
          .country = address.country};
}

std::vector<LineJson> wire_lines(const std::vector<Line>& lines) {
  std::vector<LineJson> wire;
  wire.reserve(lines.size());
  for (const Line& line : lines) {
    wire.push_back({.variant_id = line.variant.str(),
                    .sku = line.sku,
                    .name = line.name,
                    .quantity = line.quantity,
                    .unit_price = json::to_json(line.unit_price),
                    .total = json::to_json(line.total)});
  }
  return wire;
}

OrderJson wire_order(const Order& order) {
  return {.id = order.id.str(),
          .number = text(order.number),
          .status = std::string{name(order.status)},
          .customer_id = order.customer.str(),
          .lines = wire_lines(order.lines),
          .subtotal = json::to_json(order.amounts.subtotal),
          .discount = json::to_json(order.amounts.discount),
          .tax = json::to_json(order.amounts.tax),
          .shipping = json::to_json(order.amounts.shipping),
          .total = json::to_json(order.amounts.total),
          .currency = std::string{order.amounts.total.currency().code()},
          .shipping_address = wire_address(order.shipping_address),
          .shipping_method = order.shipping_method,
          .reason = order.reason,
          .created_at = rfc3339(order.created_at),
          .updated_at = rfc3339(order.updated_at)};
}

}  // namespace

Result<PlaceOrder> parse_place_order(std::string_view body) {
  auto wire = json::read<PlaceOrderJson>(body);
  if (!wire) return std::unexpected(std::move(wire.error()));

  std::vector<FieldError> errors;
  auto wanted = wanted_lines(wire->lines, errors);
  const auto currency = Currency::parse(wire->currency);
  if (!currency) errors.push_back({"/currency", "unknown_currency", "a code of ISO 4217"});
  auto address = to_address(std::move(wire->shipping_address));
  for (FieldError& error : check_address(address)) {
    error.pointer.insert(0, "/shipping_address");
    errors.push_back(std::move(error));
  }
  auto method = std::move(wire->shipping_method).value_or(std::string{standard_shipping});
  if (method != standard_shipping) {
    errors.push_back({"/shipping_method", "unknown_shipping_method", "standard"});
  }
  if (!is_payment_token(wire->payment_method.token)) {
    errors.push_back({"/payment_method/token", "bad_token", "a token of the provider: tok_…"});
  }
  if (!errors.empty()) {
    return refuse(ErrorKind::invalid, "invalid_body", "the body has members that cannot be used",
                  std::move(errors));
  }
  return PlaceOrder{.wanted = std::move(wanted),
                    .currency = *currency,
                    .shipping_address = std::move(address),
                    .shipping_method = std::move(method),
                    .payment_token = std::move(wire->payment_method.token),
                    .customer = {},
                    .key = {}};
}

std::string to_json(const Order& order) { return json::write(wire_order(order)); }

std::string to_json(const OrderPage& page, std::string_view next_cursor) {
  PageJson wire{.data = {},
                .has_more = page.has_more,
                .total = json::to_json(page.total),
                .next_cursor = std::nullopt};
  for (const Order& order : page.orders) wire.data.push_back(wire_order(order));
  if (page.has_more) wire.next_cursor = std::string{next_cursor};
  return json::write(wire);
}

std::string to_json(const std::vector<HistoryEntry>& entries) {
  HistoryJson wire{.data = {}, .has_more = false};
  for (const HistoryEntry& entry : entries) {
    wire.data.push_back({.type = entry.type,
                         .status = std::string{name(entry.status)},
                         .version = entry.version,
                         .reason = entry.reason,
                         .at = rfc3339(entry.at)});
  }
  return json::write(wire);
}

std::string facts_json(const Order& order) {
  return json::write(FactsJson{.order_id = order.id.str(),
                               .number = text(order.number),
                               .customer_id = order.customer.str(),
                               .reservation_id = order.reservation.str(),
                               .lines = wire_lines(order.lines),
                               .total = json::to_json(order.amounts.total)});
}

std::vector<Line> parse_facts_lines(std::string_view facts) {
  auto wire = json::read_lenient<FactsJson>(facts);
  require(wire.has_value(), "the stored facts of an order are as we wrote them");
  std::vector<Line> lines;
  lines.reserve(wire->lines.size());
  for (LineJson& line : wire->lines) {
    const auto variant = VariantId::parse(line.variant_id);
    const auto unit_price = json::to_money(line.unit_price);
    const auto total = json::to_money(line.total);
    require(variant && unit_price && total, "the stored lines of an order are as we wrote them");
    lines.push_back({.variant = *variant,
                     .sku = std::move(line.sku),
                     .name = std::move(line.name),
                     .quantity = line.quantity,
                     .unit_price = *unit_price,
                     .total = *total});
  }
  return lines;
}

std::string address_json(const Address& address) { return json::write(wire_address(address)); }

Address parse_stored_address(std::string_view text) {
  auto wire = json::read_lenient<AddressJson>(text);
  require(wire.has_value(), "the stored address of an order is as we wrote it");
  return to_address(std::move(*wire));
}

}  // namespace stoa::order
