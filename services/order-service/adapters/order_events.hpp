#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/order-service/domain/order.hpp"

namespace stoa::order {

/// The event that tells that an order is in `status` now: "order.paid". The one of cancelling asks
/// payment-service to close the order: "order.cancel_requested".
std::string_view event_type(Status status);

/// Body of order.placed, as contracts/events/order.placed.json promises it.
std::string order_placed(const Order& order, std::string_view payment_token);

/// Body of order.cancel_requested.
std::string cancel_requested(OrderId id, UserId customer, std::string_view reason);

// The bodies of order.paid, order.payment_failed and order.cancelled are facts_json() with the
// reason, joined in the statement that moves the order.

}  // namespace stoa::order
