#pragma once

#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"

#include "services/payment-service/app/ports.hpp"

// What is told and heard, as contracts/events promises it: the only file that knows the names of
// event members.
namespace stoa::payment {

struct OutgoingEvent {
  std::string_view type;  ///< "payment.captured"
  std::string data;       ///< JSON
};

OutgoingEvent event_of(const Payment& payment, const Happening& happening);

/// The same for an attempt of an open order, whose payment need not be read for it.
OutgoingEvent event_of(const Charge& charge, const ChargeOutcome& outcome);

/// What an order.placed says. Its event id, trace and the new ids are the caller's to add.
struct PlacedData {
  OrderId order;
  UserId customer;
  Money amount;
  std::string token;
};
/// Errors: malformed_json, invalid_body.
Result<PlacedData> parse_order_placed(std::string_view data);

struct CancelData {
  OrderId order;
  UserId customer;
};
/// Errors: malformed_json, invalid_body.
Result<CancelData> parse_cancel_requested(std::string_view data);

}  // namespace stoa::payment
