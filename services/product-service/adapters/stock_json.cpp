#include "services/product-service/adapters/stock_json.hpp"

#include <optional>
#include <vector>

#include "servicekit/json/json.hpp"
#include "servicekit/json/list_total.hpp"

namespace stoa::product {
namespace {

struct LevelJson {
  std::string variant_id;
  std::string warehouse;
  std::int64_t on_hand = 0;
  std::int64_t reserved = 0;
  std::int64_t available = 0;
};

struct MovementJson {
  std::int64_t delta = 0;
  std::string kind;
  std::optional<std::string> reason;
  std::optional<std::string> reservation_id;
  std::optional<std::string> import_id;
  std::optional<std::string> actor;
  std::string created_at;
};

struct MovementPageJson {
  std::vector<MovementJson> data;
  bool has_more = false;
  std::optional<json::ListTotalJson> total;
  std::optional<std::string> next_cursor;
};

std::optional<std::string> filled(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

template <class Id>
std::optional<std::string> text_of(const std::optional<Id>& id) {
  return id ? std::optional{id->str()} : std::nullopt;
}

}  // namespace

Result<AdjustmentJson> parse_adjustment(std::string_view body) {
  return json::read<AdjustmentJson>(body);
}

std::string to_json(const StockLevel& level) {
  return json::write(LevelJson{.variant_id = level.variant.str(),
                               .warehouse = "main",
                               .on_hand = level.on_hand,
                               .reserved = level.reserved,
                               .available = level.available()});
}

std::string to_json(const MovementPage& page, const std::string& next_cursor) {
  MovementPageJson wire{.data = {},
                        .has_more = page.next.has_value(),
                        .total = json::to_json(page.total),
                        .next_cursor = filled(next_cursor)};
  for (const StockMovement& movement : page.movements) {
    wire.data.push_back({.delta = movement.delta,
                         .kind = movement.kind,
                         .reason = filled(movement.reason),
                         .reservation_id = text_of(movement.reservation),
                         .import_id = text_of(movement.import),
                         .actor = filled(movement.actor),
                         .created_at = rfc3339(movement.created_at)});
  }
  return json::write(wire);
}

}  // namespace stoa::product
