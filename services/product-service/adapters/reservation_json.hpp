#pragma once

#include <string>
#include <string_view>

#include "services/product-service/app/ports.hpp"

// The wire form of reservations, as order-service and we know them.
namespace stoa::product {

/// Errors: malformed_json, invalid_body. An id that is none becomes one that nothing has: the
/// refusal then names its line.
Result<ReserveStock> parse_reserve(std::string_view body);
std::string to_json(const Reservation& reservation);

std::string abandon_json(Uuid origin);
/// Errors: malformed_json, invalid_body.
Result<ReservationFate> parse_fate(std::string_view body);

/// The reservation in the data of order.paid, order.cancelled and order.payment_failed.
/// Errors: malformed_json, invalid_body.
Result<ReservationId> parse_settled(std::string_view data);

}  // namespace stoa::product
