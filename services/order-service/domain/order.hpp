#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/strong.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"

#include "services/order-service/domain/address.hpp"

// The rules of an order. Pure: no clock, no database, no JSON, no coroutines.
namespace stoa::order {

/// One request as its sender means it: a name-based UUID over (caller, method, path, key).
using Origin = Strong<struct OriginTag, Uuid>;
/// What people say on the phone: S-100042.
using OrderNumber = Strong<struct OrderNumberTag, std::int64_t>;
std::string text(OrderNumber number);

inline constexpr std::size_t line_count_max = 100;
inline constexpr std::uint32_t line_quantity_max = 1'000;
inline constexpr std::string_view standard_shipping = "standard";

enum class Status : std::uint8_t { pending, paid, payment_failed, cancelling, cancelled };
inline constexpr std::array all_statuses = {Status::pending, Status::paid, Status::payment_failed,
                                            Status::cancelling, Status::cancelled};
inline constexpr std::size_t status_count = all_statuses.size();
std::string_view name(Status status);
std::optional<Status> parse_status(std::string_view wanted);

enum class CancelReason : std::uint8_t { customer, staff, expired };
std::string_view name(CancelReason reason);

/// What payment-service can tell about the money of an order.
enum class PaymentResult : std::uint8_t {
  captured,
  declined,
  voided,            ///< nothing was captured and nothing ever will be
  refunded_to_close  ///< all that was captured went back, because the order was cancelled
};

/// What the buyer asks for, before stock and prices are known.
struct WantedLine {
  VariantId variant;
  std::uint32_t quantity;
};

/// A line as product-service priced it, never as the buyer claimed.
struct PricedLine {
  VariantId variant;
  std::string sku;
  std::string name;
  std::uint32_t quantity;
  Money unit_price;
};

struct Line {
  VariantId variant;
  std::string sku;
  std::string name;
  std::uint32_t quantity;
  Money unit_price;
  Money total;
};

/// total = subtotal - discount + tax + shipping. Discount, tax and shipping are 0 until they are
/// built; they are kept apart so that an old order never changes its meaning.
struct Amounts {
  Money subtotal;
  Money discount;
  Money tax;
  Money shipping;
  Money total;
};

struct Order {
  OrderId id;
  OrderNumber number;
  UserId customer;
  ReservationId reservation;
  std::vector<Line> lines;
  Amounts amounts;
  Address shipping_address;
  std::string shipping_method;
  Status status;
  std::int64_t version;               ///< 1, then one more with each change of status
  std::optional<std::string> reason;  ///< why it failed or was cancelled
  Instant created_at;
  Instant updated_at;
};

/// Refuses what needs no stock and no price to be refused; `fields` point into the lines.
///
/// Errors, all ErrorKind::invalid: order_empty, too_many_lines, bad_quantity, duplicate_variant.
Result<void> check_wanted(const std::vector<WantedLine>& wanted);

/// The id of a reservation. The same origin and generation always give the same id, so a retry
/// after a crash meets the stock it holds; the next generation follows an abandoned one.
ReservationId reservation_for(const Origin& origin, std::uint32_t generation);

struct Placement {
  OrderId id;
  OrderNumber number;
  UserId customer;
  ReservationId reservation;
  std::vector<PricedLine> lines;
  Currency currency;
  Address shipping_address;
  std::string shipping_method;
  Instant now;
};

/// Turns priced lines into a pending order.
///
/// Errors, all ErrorKind::invalid: mixed_currencies, total_overflow, nothing_to_pay.
Result<Order> place(Placement placement);

/// What a result of the payment makes of an order in `status`; empty when it changes nothing,
/// because it was told before, or because a cancel came first and payment-service knows of it.
std::optional<Status> after(Status status, PaymentResult result);

/// The table behind after(), so that the store can apply it to many orders in one statement.
struct PaymentTransition {
  PaymentResult result;
  Status from;
  Status to;
};
inline constexpr std::array payment_transitions = std::to_array<PaymentTransition>({
    {PaymentResult::captured, Status::pending, Status::paid},
    {PaymentResult::declined, Status::pending, Status::payment_failed},
    {PaymentResult::declined, Status::cancelling, Status::cancelled},
    {PaymentResult::voided, Status::cancelling, Status::cancelled},
    {PaymentResult::refunded_to_close, Status::cancelling, Status::cancelled},
});

/// Whether a payment that ended so holds money of the buyer, which is asked back when the order is
/// lost.
bool holds_money(PaymentResult result);

/// The order on its way to be cancelled. One that is cancelling or cancelled already is returned
/// unchanged: asking twice is asking once.
///
/// Errors: invalid_state (ErrorKind::conflict) once the payment has failed.
Result<Order> cancel(Order order, CancelReason reason, Instant now);

/// What payment-service answers when it is asked about an order.
enum class PaymentState : std::uint8_t { none, unknown, captured, declined, voided, refunded };

/// What to do with an order that is pending past its deadline: apply the result whose message was
/// lost, or (empty) cancel, because nothing is known to be captured. Cancelling is safe even then:
/// payment-service refunds whatever turns out to be captured.
std::optional<PaymentResult> overdue_result(PaymentState state);

}  // namespace stoa::order
