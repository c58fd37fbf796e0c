#include "services/product-service/app/reservations.hpp"

#include <utility>

#include "servicekit/runtime/mutant.hpp"

namespace stoa::product {

Task<Result<Reservation>> Reservations::reserve(Context context, ReserveStock command) {
  auto acceptable = check_wanted(command.lines);
  if (!acceptable) co_return std::unexpected(std::move(acceptable.error()));

  auto reserved = co_await store_.reserve(context, std::move(command));
  if (!reserved) co_return std::unexpected(std::move(reserved.error()));

  if (!reserved->stale.empty()) co_await cache_.forget(context, std::move(reserved->stale));
  co_return std::move(reserved->reservation);
}

Task<> Reservations::release(Context context, ReservationId id) {
  auto stale = co_await store_.settle(context, id, Settlement::release);
  if (!stale.empty()) co_await cache_.forget(std::move(context), std::move(stale));
}

Task<std::vector<bool>> Reservations::settle(Context context, std::vector<SettledOrder> orders) {
  auto batch = co_await store_.settle_orders(context, std::move(orders));
  if (!batch.stale.empty()) co_await cache_.forget(std::move(context), std::move(batch.stale));
  co_return std::move(batch.known);
}

Task<Reservations::Swept> Reservations::sweep(Context context) {
  const auto overdue = co_await store_.claim_overdue(context);
  Swept swept{};
  for (const OverdueReservation& reservation : overdue) {
    auto fate = co_await orders_.abandon(context, reservation.id, reservation.origin);
    if (runtime::mutant<"product.expiry_without_order">()) fate = {.abandoned = true};
    ++swept.asked;
    const auto settlement = fate.abandoned
                                ? std::optional{Settlement::release}
                                : outcome_of_status(fate.order_status).transform(settlement_of);
    if (!settlement) continue;

    auto stale = co_await store_.settle(context, reservation.id, *settlement);
    ++swept.settled;
    if (!stale.empty()) co_await cache_.forget(context, std::move(stale));
  }
  co_return swept;
}

}  // namespace stoa::product
