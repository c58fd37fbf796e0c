#pragma once

#include <string>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/order-service/app/ports.hpp"

// The SQL of order-service, as functions that return a named Query. Only pg_order_store.cpp uses
// it.
namespace stoa::order::queries {

postgres::Query look_up(const IdempotencyKey& key);
postgres::Query first_answer(const IdempotencyKey& key);
postgres::Query insert_all(const NewOrder& placed, const std::string& traceparent,
                           const Patience& patience);
postgres::Query write_tombstone(const ReservationId& id, const Origin& origin);
postgres::Query status_of(const OrderId& id);
postgres::Query find(const OrderId& id);
postgres::Query list(const ListOrders& query);
/// How many orders all pages of the list hold, up to list_count_limit; `after` is no matter.
postgres::Query count(const ListOrders& query);
postgres::Query history(const OrderId& id);

// How orders move is in pg_order_transitions.cpp.
struct Cancelling {
  Order order;
  CancelReason reason;
  std::optional<IdempotencyKey> key;
  Answer answer;
  std::string traceparent;
};
postgres::Query store_cancelling(const Cancelling& change, const Patience& patience);
postgres::Query apply(const std::vector<PaymentFact>& facts);
postgres::Query claim_overdue(const Patience& patience, std::size_t limit);
postgres::Query repeat_cancel_request(const Overdue& order, const std::string& traceparent,
                                      const Patience& patience);

/// Of find() and list().
Order order_of(const postgres::Row& row);

}  // namespace stoa::order::queries
