#include <utility>

#include "servicekit/core/require.hpp"

#include "tests/simulation/replicas.hpp"
#include "tests/simulation/world.hpp"

namespace stoa::simulation {
namespace {

constexpr milliseconds sweep_period{2'000};

order::Answer rendered(const order::Order& order, int status) {
  return {.status = status, .body = order.id.str()};
}

order::Orders::Sources sources(World& world) {
  Chance& chance = world.room().chance();
  Engine& engine = world.room().engine();
  return {
      .next_id = [&chance] { return OrderId{chance.uuid()}; },
      .now = [&engine] { return Instant{engine.now()}; },
      .render_placed = [](const order::Order& order) { return rendered(order, 201); },
      .render_cancelling = [](const order::Order& order) { return rendered(order, 202); },
      // One name for one fact, whoever of the replicas finds that its message was lost.
      .lost_event_id =
          [](const OrderId& order, order::PaymentResult result) {
            Uuid id = order.uuid;
            id.bytes[0] ^= static_cast<std::uint8_t>(0xA0U + std::to_underlying(result));
            return id;
          },
  };
}

std::optional<order::PaymentResult> result_of(const Event& event) {
  switch (event.type) {
    case EventType::payment_captured:
      return order::PaymentResult::captured;
    case EventType::payment_declined:
      return order::PaymentResult::declined;
    case EventType::payment_voided:
      return order::PaymentResult::voided;
    case EventType::payment_refunded:
      if (event.closes_order) return order::PaymentResult::refunded_to_close;
      return std::nullopt;
    case EventType::order_placed:
    case EventType::order_cancel_requested:
    case EventType::order_paid:
    case EventType::order_payment_failed:
    case EventType::order_cancelled:
      break;
  }
  fail_invariant("only payment-service's events come here", std::source_location::current());
}

order::PaymentState parse_state(std::string_view told) {
  using enum order::PaymentState;
  constexpr std::array states =
      std::to_array<std::pair<std::string_view, order::PaymentState>>({{"unknown", unknown},
                                                                       {"captured", captured},
                                                                       {"declined", declined},
                                                                       {"voided", voided},
                                                                       {"refunded", refunded}});
  for (const auto& [name, state] : states) {
    if (name == told) return state;
  }
  fail_invariant("payment-service told a new state", std::source_location::current());
}

}  // namespace

Task<> every(Room* room, ProcessId process, milliseconds period, std::function<Task<>()> task) {
  for (;;) {
    const auto pause = room->chance().between(Stream::network, period / 2, period);
    co_await room->engine().pause(process, pause);
    co_await if_available(task());
  }
}

OrderReplica::OrderReplica(World& world, ProcessId process)
    : world_{world},
      line_{world.room(), process, world.orders().away_until()},
      store_{world.room(), world.orders(), line_},
      orders_{*this, *this, store_, *this, sources(world)} {}

void OrderReplica::start() {
  Room& room = world_.room();
  const ProcessId process = line_.process();
  world_.broker().subscribe(Queue::payment_results, process, [this](std::vector<Event> events) {
    return payment_results(std::move(events));
  });
  room.engine().spawn("relay",
                      Outbox::relay(&room, &world_.orders().outbox(), &world_.broker(), &line_));
  room.engine().spawn("sweep", every(&room, process, sweep_period, [this] { return sweep(); }));
}

Task<> OrderReplica::sweep() { co_await orders_.sweep({}); }

Task<std::vector<Verdict>> OrderReplica::payment_results(std::vector<Event> events) {
  std::vector<Verdict> verdicts(events.size(), Verdict::done);
  std::vector<order::PaymentFact> facts;
  for (const Event& event : events) {
    const auto result = result_of(event);
    if (!result) continue;
    facts.push_back({.event = event.id,
                     .order = event.order,
                     .customer = event.customer,
                     .result = *result,
                     .reason = event.reason,
                     .traceparent = ""});
  }
  if (facts.empty()) co_return verdicts;
  co_await orders_.apply({}, std::move(facts));
  co_return verdicts;
}

Task<Result<std::vector<order::PricedLine>>> OrderReplica::reserve(Context,
                                                                   order::Reserve command) {
  product::ReserveStock wanted{.id = command.id,
                               .origin = command.origin.value,
                               .buyer = command.buyer,
                               .currency = command.currency};
  for (const order::WantedLine& line : command.lines) {
    wanted.lines.push_back({.variant = line.variant, .quantity = line.quantity});
  }
  const std::size_t to = world_.any_replica();
  std::function<Task<Result<product::Reservation>>()> ask = [&world = world_, to, wanted] {
    return world.product(to).reservations().reserve({}, wanted);
  };
  const auto reserved = co_await world_.room().call<Result<product::Reservation>>(
      line_.process(), world_.product_process(to), std::move(ask));
  if (!reserved) co_return std::unexpected(reserved.error());
  std::vector<order::PricedLine> lines;
  for (const product::ReservedLine& line : reserved->lines) {
    lines.push_back({.variant = line.variant,
                     .sku = "",
                     .name = "",
                     .quantity = static_cast<std::uint32_t>(line.quantity),
                     .unit_price = line.unit_price});
  }
  co_return lines;
}

Task<> OrderReplica::release(Context, ReservationId id) {
  const std::size_t to = world_.any_replica();
  std::function<Task<bool>()> ask = [&world = world_, to, id] {
    return if_available(world.product(to).reservations().release({}, id));
  };
  co_await world_.room().call<bool>(line_.process(), world_.product_process(to), std::move(ask));
}

Task<order::Payments::Known> OrderReplica::state_of(Context, OrderId id) {
  using Found = std::optional<payment::Payment>;
  const std::size_t to = world_.any_replica();
  std::function<Task<Found>()> ask = [&world = world_, to, id] {
    return world.payment(to).store().payment_of_order({}, id);
  };
  const Found found = co_await world_.room().call<Found>(
      line_.process(), world_.payment_process(to), std::move(ask));
  if (!found) co_return Known{.state = order::PaymentState::none, .reason = std::nullopt};
  co_return Known{.state = parse_state(state_for_order(*found)), .reason = found->decline_reason};
}

Task<Result<order::KeyState>> OrderStoreOverLine::look_up(Context, order::IdempotencyKey key) {
  co_await line_.go();
  auto state = database_.look_up(key);
  co_await line_.back();
  co_return state;
}

Task<Result<std::optional<order::Answer>>> OrderStoreOverLine::first_answer(
    Context, order::IdempotencyKey key) {
  co_await line_.go();
  auto answer = database_.first_answer(key);
  co_await line_.back();
  co_return answer;
}

Task<bool> OrderStoreOverLine::insert_if_first(Context, order::NewOrder placed) {
  const order::IdempotencyKey key = placed.key;
  const order::Answer answer = placed.answer;
  co_await line_.go();
  const bool first = database_.insert_if_first(std::move(placed));
  co_await commit(&line_, &database_);
  if (!first || !room_.has(Defect::key_outside_transaction)) co_return first;
  co_await line_.go();
  database_.store_key(key, answer);
  co_await line_.back();
  co_return first;
}

Task<order::Claim> OrderStoreOverLine::abandon(Context, ReservationId id, order::Origin origin) {
  co_await line_.go();
  const auto claim = database_.abandon(id, origin);
  co_await line_.back();
  co_return claim;
}

Task<std::optional<order::Order>> OrderStoreOverLine::find(Context, OrderId id) {
  co_await line_.go();
  auto order = database_.find(id);
  co_await line_.back();
  co_return order;
}

Task<order::OrderPage> OrderStoreOverLine::list(Context, order::ListOrders) {
  fail_invariant("nobody lists here", std::source_location::current());
}

Task<std::vector<order::HistoryEntry>> OrderStoreOverLine::history(Context, OrderId) {
  fail_invariant("nobody reads a history here", std::source_location::current());
}

Task<bool> OrderStoreOverLine::store_cancelling(Context, order::Order order, order::CancelReason,
                                                std::optional<order::IdempotencyKey> key,
                                                order::Answer answer) {
  co_await line_.go();
  const bool stored = database_.store_cancelling(order, key, std::move(answer));
  co_await commit(&line_, &database_);
  co_return stored;
}

Task<std::vector<order::Effect>> OrderStoreOverLine::apply(Context,
                                                           std::vector<order::PaymentFact> facts) {
  co_await line_.go();
  auto effects = database_.apply(facts);
  co_await commit(&line_, &database_);
  co_return effects;
}

Task<std::vector<order::Overdue>> OrderStoreOverLine::claim_overdue(Context, std::size_t limit) {
  co_await line_.go();
  auto overdue = database_.claim_overdue(limit);
  co_await line_.back();
  co_return overdue;
}

Task<> OrderStoreOverLine::repeat_cancel_request(Context, order::Overdue order) {
  co_await line_.go();
  database_.repeat_cancel_request(order);
  co_await commit(&line_, &database_);
}

}  // namespace stoa::simulation
