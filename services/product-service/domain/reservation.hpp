#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"
#include "servicekit/core/uuid.hpp"

// The rules of holding stock for an order. Pure.
namespace stoa::product {

inline constexpr std::size_t reservation_lines_max = 100;
inline constexpr std::int64_t line_quantity_max = 1'000'000;
/// Open (active) reservations a buyer may have; the next is too_many_open_orders.
inline constexpr std::int64_t open_reservations_max = 10;

/// active → committed → restocked, active → released; every other move is a no-op.
enum class ReservationState : std::uint8_t { active, committed, released, restocked };
std::string_view name(ReservationState state);
std::optional<ReservationState> parse_reservation_state(std::string_view text);

/// What became of the order a reservation was made for.
enum class Settlement : std::uint8_t {
  commit,   ///< it was paid: the units are gone
  release,  ///< it never came to be: only an active reservation is given back
  end,      ///< it ended unpaid or was refunded: what is held or gone comes back
};

/// How an order was settled, as its events tell. Never `release`: of an order that never came to be
/// there is no event.
enum class OrderOutcome : std::uint8_t {
  paid,
  ended,  ///< unpaid, or refunded
};
Settlement settlement_of(OrderOutcome outcome);

/// Where `settlement` moves a reservation; its present state when it changes nothing.
ReservationState settled(ReservationState state, Settlement settlement);

/// Of an order's status; empty while it is not settled ("pending", "cancelling"). Unknown statuses
/// are not settled: nothing is given back on a guess.
std::optional<OrderOutcome> outcome_of_status(std::string_view order_status);

struct WantedLine {
  VariantId variant{};
  std::int64_t quantity = 0;
  friend bool operator==(const WantedLine&, const WantedLine&) = default;
};

struct ReserveStock {
  ReservationId id{};
  Uuid origin{};  ///< handed back when the reservation is to be abandoned
  UserId buyer{};
  Currency currency;
  std::vector<WantedLine> lines{};
};

struct ReservedLine {
  VariantId variant{};
  ProductId product{};
  std::string sku{};
  std::string name{};  ///< of the product and, where there is a choice, of the variant
  std::int64_t quantity = 0;
  Money unit_price;
};

struct Reservation {
  ReservationId id{};
  Instant expires_at{};
  std::vector<ReservedLine> lines{};  ///< in the order they were asked for
};

/// Refuses what needs no stock to be refused. Errors (invalid): invalid_reservation.
Result<void> check_wanted(const std::vector<WantedLine>& lines);

/// What the database knew of one wanted line when it decided.
struct LineFacts {
  bool known = false;    ///< a variant of an active product
  bool priced = false;   ///< in the wanted currency
  bool covered = false;  ///< enough units for all lines of that variant
  std::int64_t available = 0;
};

/// Why a reservation was not made. At least one fact must speak against it.
/// Errors, in this order: variant_not_found, currency_not_available (invalid),
/// too_many_open_orders (too_many), out_of_stock (conflict).
Error why_refused(const std::vector<LineFacts>& lines, std::int64_t open_reservations);

/// Whether a repeat asks for what the first call got.
bool same_lines(const std::vector<ReservedLine>& reserved, const std::vector<WantedLine>& wanted);

struct StockLevel {
  VariantId variant{};
  std::int64_t on_hand = 0;
  std::int64_t reserved = 0;
  std::int64_t available() const { return on_hand - reserved; }
};

/// The level after an adjustment by hand.
/// Errors: stock_below_reserved (conflict), invalid_adjustment (zero, or beyond on_hand_max).
Result<StockLevel> adjusted(StockLevel level, std::int64_t delta);

}  // namespace stoa::product
