#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"

#include "services/order-service/app/orders.hpp"

// The only file that knows the names of an order's fields on the wire and in the stored documents.
namespace stoa::order {

/// Body of POST /orders; customer and key stay empty.
/// Errors: malformed_json, invalid_body (unknown members included, each with its pointer).
Result<PlaceOrder> parse_place_order(std::string_view body);

/// contracts/http/order-service.yaml, schema Order.
std::string to_json(const Order& order);
std::string to_json(const OrderPage& page, std::string_view next_cursor);
std::string to_json(const std::vector<HistoryEntry>& entries);

/// What every settled order tells of itself, and what its row keeps: ids, number, lines and total.
std::string facts_json(const Order& order);
std::vector<Line> parse_facts_lines(std::string_view facts);

std::string address_json(const Address& address);
Address parse_stored_address(std::string_view text);

}  // namespace stoa::order
