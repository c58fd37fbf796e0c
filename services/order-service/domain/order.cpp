#include "services/order-service/domain/order.hpp"

#include <format>
#include <set>
#include <utility>

namespace stoa::order {
namespace {

std::unexpected<Error> invalid(std::string_view code, std::string detail) {
  return refuse(ErrorKind::invalid, code, std::move(detail));
}

FieldError at_line(std::size_t index, std::string_view member, std::string_view code,
                   std::string detail) {
  return {std::format("/lines/{}/{}", index, member), std::string{code}, std::move(detail)};
}

std::unexpected<Error> total_overflow() {
  return invalid("total_overflow", "the total is larger than an amount can be");
}

Result<std::vector<Line>> with_totals(std::vector<PricedLine> priced, Currency currency) {
  std::vector<Line> lines;
  lines.reserve(priced.size());
  for (PricedLine& line : priced) {
    if (line.unit_price.currency() != currency) {
      return invalid("mixed_currencies", "an order is paid in one currency");
    }
    const auto total = line.unit_price.times(line.quantity);
    if (!total) return total_overflow();
    lines.push_back({.variant = line.variant,
                     .sku = std::move(line.sku),
                     .name = std::move(line.name),
                     .quantity = line.quantity,
                     .unit_price = line.unit_price,
                     .total = *total});
  }
  return lines;
}

Result<Amounts> amounts_of(const std::vector<Line>& lines, Currency currency) {
  const Money nothing{0, currency};
  Money subtotal = nothing;
  for (const Line& line : lines) {
    const auto sum = subtotal.plus(line.total);
    if (!sum) return total_overflow();
    subtotal = *sum;
  }
  return Amounts{.subtotal = subtotal,
                 .discount = nothing,
                 .tax = nothing,
                 .shipping = nothing,
                 .total = subtotal};
}

}  // namespace

std::string text(OrderNumber number) { return std::format("S-{}", number.value); }

std::string_view name(Status status) {
  switch (status) {
    case Status::pending:
      return "pending";
    case Status::paid:
      return "paid";
    case Status::payment_failed:
      return "payment_failed";
    case Status::cancelling:
      return "cancelling";
    case Status::cancelled:
      return "cancelled";
  }
  std::unreachable();
}

std::optional<Status> parse_status(std::string_view wanted) {
  for (const Status status : all_statuses) {
    if (name(status) == wanted) return status;
  }
  return std::nullopt;
}

std::string_view name(CancelReason reason) {
  switch (reason) {
    case CancelReason::customer:
      return "customer";
    case CancelReason::staff:
      return "staff";
    case CancelReason::expired:
      return "expired";
  }
  std::unreachable();
}

Result<void> check_wanted(const std::vector<WantedLine>& wanted) {
  if (wanted.empty()) return invalid("order_empty", "an order needs at least one line");
  if (wanted.size() > line_count_max) {
    return invalid("too_many_lines", std::format("at most {} lines", line_count_max));
  }
  std::vector<FieldError> bad_quantities;
  std::vector<FieldError> duplicates;
  std::set<VariantId> seen;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].quantity == 0 || wanted[i].quantity > line_quantity_max) {
      bad_quantities.push_back(
          at_line(i, "quantity", "out_of_range", std::format("1 to {}", line_quantity_max)));
    }
    if (!seen.insert(wanted[i].variant).second) {
      duplicates.push_back(
          at_line(i, "variant_id", "duplicate_variant", "this variant has a line already"));
    }
  }
  if (!bad_quantities.empty()) {
    return refuse(ErrorKind::invalid, "bad_quantity",
                  std::format("a line has 1 to {} of its variant", line_quantity_max),
                  std::move(bad_quantities));
  }
  if (!duplicates.empty()) {
    return refuse(ErrorKind::invalid, "duplicate_variant", "each variant has one line",
                  std::move(duplicates));
  }
  return {};
}

ReservationId reservation_for(const Origin& origin, std::uint32_t generation) {
  // The origin is spread evenly already (a hash), so its bytes stay apart from those of any other
  // origin; the generation takes the last four.
  auto bytes = origin.value.bytes;
  for (std::size_t i = 0; i < sizeof generation; ++i) {
    bytes[bytes.size() - 1 - i] ^= static_cast<std::uint8_t>(generation >> (8U * i));
  }
  return {uuid_v8(bytes)};
}

Result<Order> place(Placement placement) {
  auto lines = with_totals(std::move(placement.lines), placement.currency);
  if (!lines) return std::unexpected(std::move(lines.error()));
  const auto amounts = amounts_of(*lines, placement.currency);
  if (!amounts) return std::unexpected(amounts.error());
  if (amounts->total.minor_units() <= 0) {
    return invalid("nothing_to_pay", "an order has something to pay");
  }
  return Order{
      .id = placement.id,
      .number = placement.number,
      .customer = placement.customer,
      .reservation = placement.reservation,
      .lines = std::move(*lines),
      .amounts = *amounts,
      .shipping_address = std::move(placement.shipping_address),
      .shipping_method = std::move(placement.shipping_method),
      .status = Status::pending,
      .version = 1,
      .reason = std::nullopt,
      .created_at = placement.now,
      .updated_at = placement.now,
  };
}

std::optional<Status> after(Status status, PaymentResult result) {
  for (const PaymentTransition& transition : payment_transitions) {
    if (transition.result == result && transition.from == status) return transition.to;
  }
  return std::nullopt;
}

bool holds_money(PaymentResult result) {
  switch (result) {
    case PaymentResult::captured:
      return true;
    case PaymentResult::declined:
    case PaymentResult::voided:
    case PaymentResult::refunded_to_close:
      return false;
  }
  std::unreachable();
}

Result<Order> cancel(Order order, CancelReason reason, Instant now) {
  switch (order.status) {
    case Status::pending:
    case Status::paid:
      order.status = Status::cancelling;
      order.version += 1;
      order.reason = std::string{name(reason)};
      order.updated_at = now;
      return order;
    case Status::cancelling:
    case Status::cancelled:
      return order;
    case Status::payment_failed:
      return refuse(ErrorKind::conflict, "invalid_state",
                    "an order whose payment failed cannot be cancelled");
  }
  std::unreachable();
}

std::optional<PaymentResult> overdue_result(PaymentState state) {
  switch (state) {
    case PaymentState::captured:
      return PaymentResult::captured;
    case PaymentState::declined:
      return PaymentResult::declined;
    case PaymentState::none:
    case PaymentState::unknown:
    case PaymentState::voided:
    case PaymentState::refunded:
      return std::nullopt;
  }
  std::unreachable();
}

}  // namespace stoa::order
