#include "services/product-service/domain/reservation.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"

#include "services/product-service/domain/product.hpp"

namespace stoa::product {
namespace {

constexpr std::chrono::seconds open_orders_retry_after{5};

std::vector<FieldError> fields_where(const std::vector<LineFacts>& lines, bool LineFacts::* fine,
                                     std::string_view member, std::string_view code,
                                     std::string_view detail) {
  std::vector<FieldError> fields;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].*fine) continue;
    fields.push_back(
        {std::format("/lines/{}/{}", i, member), std::string{code}, std::string{detail}});
  }
  return fields;
}

std::vector<FieldError> shortages(const std::vector<LineFacts>& lines) {
  std::vector<FieldError> fields;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].covered) continue;
    fields.push_back({std::format("/lines/{}/quantity", i), "out_of_stock",
                      std::format("{} available", lines[i].available)});
  }
  return fields;
}

}  // namespace

std::string_view name(ReservationState state) {
  switch (state) {
    case ReservationState::active:
      return "active";
    case ReservationState::committed:
      return "committed";
    case ReservationState::released:
      return "released";
    case ReservationState::restocked:
      return "restocked";
  }
  std::unreachable();
}

std::optional<ReservationState> parse_reservation_state(std::string_view text) {
  using enum ReservationState;
  for (const ReservationState state : {active, committed, released, restocked}) {
    if (name(state) == text) return state;
  }
  return std::nullopt;
}

ReservationState settled(ReservationState state, Settlement settlement) {
  using enum ReservationState;
  switch (state) {
    case active:
      return settlement == Settlement::commit ? committed : released;
    case committed:
      return settlement == Settlement::end ? restocked : committed;
    case released:
    case restocked:
      return state;
  }
  std::unreachable();
}

Settlement settlement_of(OrderOutcome outcome) {
  switch (outcome) {
    case OrderOutcome::paid:
      return Settlement::commit;
    case OrderOutcome::ended:
      return Settlement::end;
  }
  std::unreachable();
}

std::optional<OrderOutcome> outcome_of_status(std::string_view order_status) {
  if (order_status == "cancelled" || order_status == "payment_failed") return OrderOutcome::ended;
  for (const std::string_view paid :
       {"paid", "partly_fulfilled", "fulfilled", "partly_returned", "returned"}) {
    if (order_status == paid) return OrderOutcome::paid;
  }
  return std::nullopt;
}

Result<void> check_wanted(const std::vector<WantedLine>& lines) {
  std::vector<FieldError> fields;
  if (lines.empty() || lines.size() > reservation_lines_max) {
    fields.push_back(
        {"/lines", "out_of_range", std::format("1 to {} lines", reservation_lines_max)});
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].quantity >= 1 && lines[i].quantity <= line_quantity_max) continue;
    fields.push_back({std::format("/lines/{}/quantity", i), "out_of_range",
                      std::format("1 to {}", line_quantity_max)});
  }
  if (fields.empty()) return {};
  return refuse(ErrorKind::invalid, "invalid_reservation", "the reservation breaks a rule",
                std::move(fields));
}

Error why_refused(const std::vector<LineFacts>& lines, std::int64_t open_reservations) {
  if (auto unknown = fields_where(lines, &LineFacts::known, "variant_id", "variant_not_found",
                                  "there is no such variant on sale");
      !unknown.empty()) {
    return {.kind = ErrorKind::invalid,
            .code = "variant_not_found",
            .detail = "a line names no variant on sale",
            .fields = std::move(unknown)};
  }
  if (auto unpriced = fields_where(lines, &LineFacts::priced, "variant_id",
                                   "currency_not_available", "has no price in this currency");
      !unpriced.empty()) {
    return {.kind = ErrorKind::invalid,
            .code = "currency_not_available",
            .detail = "a variant has no price in this currency",
            .fields = std::move(unpriced)};
  }
  if (open_reservations >= open_reservations_max) {
    return {.kind = ErrorKind::too_many,
            .code = "too_many_open_orders",
            .detail = std::format("at most {} orders may wait for payment", open_reservations_max),
            .retry_after = open_orders_retry_after};
  }
  auto short_lines = shortages(lines);
  require(!short_lines.empty(), "a refused reservation has a reason");
  return {.kind = ErrorKind::conflict,
          .code = "out_of_stock",
          .detail = "there is not enough stock",
          .fields = std::move(short_lines)};
}

bool same_lines(const std::vector<ReservedLine>& reserved, const std::vector<WantedLine>& wanted) {
  return std::ranges::equal(reserved, wanted, [](const ReservedLine& a, const WantedLine& b) {
    return a.variant == b.variant && a.quantity == b.quantity;
  });
}

Result<StockLevel> adjusted(StockLevel level, std::int64_t delta) {
  if (delta == 0 || delta > on_hand_max || delta < -on_hand_max ||
      level.on_hand + delta > on_hand_max) {
    return refuse(ErrorKind::invalid, "invalid_adjustment", "the adjustment breaks a rule",
                  {{"/delta", "out_of_range", std::format("not 0, to {} on hand", on_hand_max)}});
  }
  if (level.on_hand + delta < level.reserved) {
    return refuse(ErrorKind::conflict, "stock_below_reserved",
                  std::format("{} on hand, {} of them reserved", level.on_hand, level.reserved),
                  {{"/delta", "stock_below_reserved",
                    std::format("at least {}", level.reserved - level.on_hand)}});
  }
  level.on_hand += delta;
  return level;
}

}  // namespace stoa::product
