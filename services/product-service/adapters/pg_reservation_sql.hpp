#pragma once

#include <string_view>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/product-service/app/ports.hpp"

// The statements that move stock for orders. Each effect is one statement, and before it, in the
// same round trip and transaction, stands one that takes the locks of its variants, always in the
// same order. Apart from the effect, and on the variants instead of their rows: a statement that
// waits for a row goes on with the snapshot it had, and PostgreSQL would check the constraints of
// `stock` on what the row was before the wait, and refuse what is right.
namespace stoa::product {

/// What reserve_stock() needs to hold, in the same transaction before it. Reservations of one buyer
/// take turns, so that their number is counted right and twins of one request do not meet; nobody
/// settles this one while it is made; and its variants.
postgres::Query lock_for(const ReserveStock& command);
/// By their ids, whether they are there or not: two that settle one reservation take turns, and
/// whoever settles one that is being made sees it behind this.
postgres::Query lock_reservations(const std::vector<ReservationId>& reservations);

/// Whoever changes rows of `stock` holds the locks of their variants until its transaction ends.
postgres::Query lock_stock(const std::vector<Uuid>& variants);
/// Behind lock_reservations(), which makes them seen.
postgres::Query lock_stock_of_reservations(const std::vector<ReservationId>& reservations);

/// All lines or none. One row a wanted line, in order: variant_id, product_id, sku, name, quantity,
/// amount, available before, covered, expires_at (NULL: not made), known before, open reservations.
/// `event_ids` has one id for each line.
postgres::Query reserve_stock(const ReserveStock& command, std::int64_t deadline_seconds,
                              const std::vector<Uuid>& event_ids,
                              const std::optional<std::string>& traceparent);

/// One row a line: variant_id, product_id, sku, name, quantity, amount, expires_at, state,
/// currency.
postgres::Query find_reservation(ReservationId id);

/// One reservation moved as `settlement` says. Rows: the products whose availability turned.
postgres::Query settle_reservation(ReservationId id, Settlement settlement);

/// The same for events, each claimed in the inbox by this statement. Rows: kind 'unknown' with an
/// event id, or 'stale' with a product id.
postgres::Query settle_events(const std::vector<SettledOrder>& orders, std::string_view consumer);

/// Rows: id, origin.
postgres::Query claim_overdue_reservations(std::int64_t count_max, std::int64_t ask_again_seconds);

}  // namespace stoa::product
