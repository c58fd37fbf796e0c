#include <utility>

#include "servicekit/core/require.hpp"

#include "tests/simulation/replicas.hpp"
#include "tests/simulation/world.hpp"

namespace stoa::simulation {
namespace {

constexpr milliseconds sweep_period{3'000};

product::OrderOutcome outcome_of(EventType type) {
  return type == EventType::order_paid ? product::OrderOutcome::paid : product::OrderOutcome::ended;
}

}  // namespace

ProductReplica::ProductReplica(World& world, ProcessId process)
    : world_{world},
      line_{world.room(), process, world.stock().away_until()},
      store_{world.room(), world.stock(), line_},
      reservations_{store_, *this, *this} {}

void ProductReplica::start() {
  Room& room = world_.room();
  const ProcessId process = line_.process();
  world_.broker().subscribe(Queue::order_settled, process, [this](std::vector<Event> events) {
    return order_settled(std::move(events));
  });
  room.engine().spawn("sweep", every(&room, process, sweep_period, [this] { return sweep(); }));
}

Task<> ProductReplica::sweep() { co_await reservations_.sweep({}); }

Task<std::vector<Verdict>> ProductReplica::order_settled(std::vector<Event> events) {
  std::vector<product::SettledOrder> orders;
  orders.reserve(events.size());
  for (const Event& event : events) {
    orders.push_back({.event_id = event.id,
                      .reservation = event.reservation,
                      .outcome = outcome_of(event.type)});
  }
  const auto known = co_await reservations_.settle({}, std::move(orders));
  std::vector<Verdict> verdicts;
  verdicts.reserve(known.size());
  for (const bool each : known) verdicts.push_back(each ? Verdict::done : Verdict::refuse);
  co_return verdicts;
}

Task<product::ReservationFate> ProductReplica::abandon(Context, ReservationId id, Uuid origin) {
  if (world_.room().has(Defect::expiry_without_order_check)) {
    co_return product::ReservationFate{.abandoned = true};
  }
  const std::size_t to = world_.any_replica();
  std::function<Task<order::Claim>()> ask = [&world = world_, to, id, origin] {
    return world.order(to).orders().abandon({}, id, order::Origin{origin});
  };
  const auto claim = co_await world_.room().call<order::Claim>(
      line_.process(), world_.order_process(to), std::move(ask));
  if (!claim.holder) co_return product::ReservationFate{.abandoned = true};
  co_return product::ReservationFate{.order_status = std::string{name(claim.holder->status)}};
}

Task<> ProductReplica::forget(Context, std::vector<ProductId>) { co_return; }

// Under the defect, what was seen before somebody else's transaction is taken for granted in ours.
Task<Result<product::Reserved>> StockStoreOverLine::reserve(Context,
                                                            product::ReserveStock command) {
  co_await line_.go();
  StockDatabase::Facts facts = database_.facts_of(command);
  if (room_.has(Defect::reserve_reads_then_writes)) {
    co_await line_.back();
    co_await line_.go();
  }
  auto reserved = database_.reserve(command, facts);
  co_await line_.back();
  co_return reserved;
}

Task<product::StaleProducts> StockStoreOverLine::settle(Context, ReservationId id,
                                                        product::Settlement settlement) {
  co_await line_.go();
  database_.settle(id, settlement);
  co_await line_.back();
  co_return product::StaleProducts{};
}

Task<product::SettledBatch> StockStoreOverLine::settle_orders(
    Context, std::vector<product::SettledOrder> orders) {
  co_await line_.go();
  auto batch = database_.settle_orders(orders);
  co_await line_.back();
  co_return batch;
}

Task<std::vector<product::OverdueReservation>> StockStoreOverLine::claim_overdue(Context) {
  co_await line_.go();
  auto overdue = database_.claim_overdue();
  co_await line_.back();
  co_return overdue;
}

Task<std::optional<product::StockLevel>> StockStoreOverLine::level(Context, VariantId) {
  fail_invariant("nobody counts here", std::source_location::current());
}

Task<Result<product::Adjusted>> StockStoreOverLine::adjust(Context, product::AdjustStock) {
  fail_invariant("nobody adjusts here", std::source_location::current());
}

Task<Result<product::MovementPage>> StockStoreOverLine::movements(Context, product::ListMovements) {
  fail_invariant("nobody reads the journal here", std::source_location::current());
}

}  // namespace stoa::simulation
