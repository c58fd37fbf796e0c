#pragma once

#include <cstddef>
#include <vector>

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// Holding stock for orders, and what becomes of it. Shared by every event loop.
class Reservations {
 public:
  Reservations(StockStore& store, OrderReservations& orders, CatalogueCache& cache)
      : store_{store}, orders_{orders}, cache_{cache} {}

  /// Reserves every line or none until the deadline, and prices them. Waits on the database.
  /// Errors: invalid_reservation and those of StockStore::reserve. Repeating the id of an active
  /// or committed reservation returns its first success.
  Task<Result<Reservation>> reserve(Context context, ReserveStock command);

  /// Gives an active reservation back; anything else is left as it is.
  Task<> release(Context context, ReservationId id);

  /// Applies a batch of settled orders; true for each event whose reservation there is.
  Task<std::vector<bool>> settle(Context context, std::vector<SettledOrder> orders);

  struct Swept {
    std::size_t asked = 0;
    std::size_t settled = 0;
  };
  /// Asks order-service about reservations past their deadline and does what a lost event would
  /// have done. Throws Unavailable when order-service does not answer: nothing is given back.
  Task<Swept> sweep(Context context);

 private:
  StockStore& store_;
  OrderReservations& orders_;
  CatalogueCache& cache_;
};

}  // namespace stoa::product
