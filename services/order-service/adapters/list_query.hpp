#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servicekit/http/server.hpp"

#include "services/order-service/adapters/cursor.hpp"
#include "services/order-service/app/ports.hpp"

namespace stoa::order {

/// A list as its query string asks for it.
struct WantedList {
  ListOrders query;
  std::string list;    ///< caller, filters and sort in one fixed form: what a cursor is bound to
  std::string target;  ///< path and parameters of the next page, but for its cursor
};

/// Parameters: limit (1 to 100), cursor, sort (created_at, -created_at), status (a list),
/// include_total; for staff (no `customer`) also customer_id.
/// Errors: malformed_query, unknown_parameter, bad_parameter, bad_cursor.
Result<WantedList> parse_list_query(const http::Request& request, std::optional<UserId> customer,
                                    const Cursors& cursors);

/// Of the `Link; rel="next"` header.
std::string next_target(const WantedList& wanted, std::string_view cursor);

}  // namespace stoa::order
