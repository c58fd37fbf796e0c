#include <format>
#include <utility>

#include "servicekit/core/require.hpp"

#include "tests/simulation/replicas.hpp"
#include "tests/simulation/world.hpp"

namespace stoa::simulation {
namespace {

constexpr milliseconds sweep_period{1'500};
constexpr milliseconds webhook_sweep_period{4'000};
// Small, so that the limits are met.
constexpr payment::Charges::Limits charge_limits{
    .in_flight_max = 2, .waiting_max = 3, .batch_max = 2, .lease = milliseconds{8'000}};
constexpr payment::Refunds::Limits refund_limits{.in_flight_max = 2, .lease = milliseconds{8'000}};

std::function<double()> jitter(Room& room) {
  return [&room] {
    return 0.5 + static_cast<double>(room.chance().below(Stream::network, 500)) / 1'000;
  };
}

// Another key for what is the same attempt: what must never be done.
template <class Id>
Id changed(Id id, int tries) {
  id.uuid.bytes[0] ^= static_cast<std::uint8_t>(tries + 1);
  return id;
}

}  // namespace

PaymentReplica::PaymentReplica(World& world, ProcessId process)
    : world_{world},
      line_{world.room(), process, world.payments().away_until()},
      store_{world.payments(), line_},
      refunds_{world.room().engine().loops(), store_, *this, jitter(world.room()), refund_limits},
      charges_{world.room().engine().loops(), store_,       *this, jitter(world.room()),
               [this] { refunds_.wake(); },   charge_limits},
      provider_events_{world.room().engine().loops(), store_, charges_, refunds_} {}

void PaymentReplica::start() {
  Room& room = world_.room();
  Engine& engine = room.engine();
  const ProcessId process = line_.process();
  world_.broker().subscribe(Queue::order_placed, process, [this](std::vector<Event> events) {
    return placed(std::move(events));
  });
  world_.broker().subscribe(Queue::cancel_requested, process, [this](std::vector<Event> events) {
    return cancel_requested(std::move(events));
  });
  engine.spawn("relay",
               Outbox::relay(&room, &world_.payments().outbox(), &world_.broker(), &line_));
  engine.spawn("charges",
               every(&room, process, sweep_period, [this] { return charges_.sweep({}); }));
  engine.spawn("refunds",
               every(&room, process, sweep_period, [this] { return refunds_.sweep({}); }));
  engine.spawn("webhooks", every(&room, process, webhook_sweep_period,
                                 [this] { return provider_events_.sweep({}); }));
}

Task<std::vector<Verdict>> PaymentReplica::placed(std::vector<Event> events) {
  std::vector<payment::PlacedOrder> orders;
  orders.reserve(events.size());
  for (Event& event : events) {
    orders.push_back({.event = event.id,
                      .order = event.order,
                      .customer = event.customer,
                      .amount = event.amount.value(),
                      .token = std::move(event.token),
                      .traceparent = "",
                      .payment = {world_.room().chance().uuid()},
                      .attempt = {world_.room().chance().uuid()}});
  }
  const std::size_t count = orders.size();
  co_await charges_.open({}, std::move(orders));
  co_return std::vector<Verdict>(count, Verdict::done);
}

Task<std::vector<Verdict>> PaymentReplica::cancel_requested(std::vector<Event> events) {
  for (const Event& event : events) {
    payment::Cancellation cancellation{.event = event.id,
                                       .order = event.order,
                                       .customer = event.customer,
                                       .traceparent = "",
                                       .spare_payment = {world_.room().chance().uuid()}};
    co_await refunds_.close_order({}, std::move(cancellation));
  }
  co_return std::vector<Verdict>(events.size(), Verdict::done);
}

Task<> PaymentReplica::webhook(payment::ProviderEvent event) {
  const auto stored = co_await if_available(store_.store_provider_event({}, std::move(event)));
  if (stored) provider_events_.wake();
}

Task<payment::ChargeOutcome> PaymentReplica::charge(Context, payment::Charge charge) {
  const bool again = charge.sent_before && world_.room().has(Defect::attempt_key_changed);
  const AttemptId key = again ? changed(charge.attempt, charge.tries) : charge.attempt;
  std::function<Task<payment::ChargeOutcome>()> ask = [&world = world_, charge, key] {
    return world.provider().charge(charge, key);
  };
  auto outcome = co_await world_.room().call<payment::ChargeOutcome>(
      line_.process(), world_.provider().process(), std::move(ask));
  co_return outcome;
}

Task<std::optional<payment::ChargeOutcome>> PaymentReplica::ask_charge(Context, AttemptId key) {
  std::function<Task<simulation::Provider::Known>()> ask = [&world = world_, key] {
    return world.provider().ask_charge(key);
  };
  auto known = co_await world_.room().call<simulation::Provider::Known>(
      line_.process(), world_.provider().process(), std::move(ask));
  if (!known.outcome && world_.room().has(Defect::not_found_is_declined)) {
    co_return payment::ChargeOutcome{.kind = payment::ChargeOutcome::Kind::declined,
                                     .reason = "not_found"};
  }
  co_return std::move(known.outcome);
}

Task<payment::ChargeOutcome> PaymentReplica::void_charge(Context, AttemptId key) {
  std::function<Task<payment::ChargeOutcome>()> ask = [&world = world_, key] {
    return world.provider().void_charge(key);
  };
  auto outcome = co_await world_.room().call<payment::ChargeOutcome>(
      line_.process(), world_.provider().process(), std::move(ask));
  co_return outcome;
}

Task<payment::RefundOutcome> PaymentReplica::refund(Context, payment::RefundCall call) {
  const bool again = call.sent_before && world_.room().has(Defect::refund_key_changed);
  const RefundId key = again ? changed(call.refund.id, call.tries) : call.refund.id;
  std::function<Task<payment::RefundOutcome>()> ask = [&world = world_, call, key] {
    return world.provider().refund(call, key);
  };
  auto outcome = co_await world_.room().call<payment::RefundOutcome>(
      line_.process(), world_.provider().process(), std::move(ask));
  co_return outcome;
}

Task<std::optional<payment::RefundOutcome>> PaymentReplica::ask_refund(Context, RefundId key) {
  // A changed key is not asked for either: the defect is to forget the one that was sent.
  if (world_.room().has(Defect::refund_key_changed)) co_return std::nullopt;
  std::function<Task<simulation::Provider::KnownRefund>()> ask = [&world = world_, key] {
    return world.provider().ask_refund(key);
  };
  auto known = co_await world_.room().call<simulation::Provider::KnownRefund>(
      line_.process(), world_.provider().process(), std::move(ask));
  co_return std::move(known.outcome);
}

Task<std::optional<payment::RefundOutcome>> PaymentReplica::void_refund(Context, RefundId) {
  fail_invariant("no operator works here", std::source_location::current());
}

Task<std::vector<AttemptId>> PaymentStoreOverLine::open(Context,
                                                        std::vector<payment::PlacedOrder> orders,
                                                        std::size_t leased_max,
                                                        milliseconds lease) {
  co_await line_.go();
  auto leased = database_.open(orders, leased_max, lease);
  co_await line_.back();
  co_return leased;
}

Task<std::vector<payment::Charge>> PaymentStoreOverLine::claim_charges(Context,
                                                                       std::size_t count_max,
                                                                       milliseconds lease) {
  co_await line_.go();
  auto charges = database_.claim_charges(count_max, lease);
  co_await line_.back();
  co_return charges;
}

// Several transactions, as in adapters/pg_charges.cpp: those without an answer together, then one
// for each outcome.
Task<bool> PaymentStoreOverLine::record_charges(Context,
                                                std::vector<payment::ChargeResult> results) {
  bool refunds_follow = false;
  for (const payment::ChargeResult& result : results) {
    co_await line_.go();
    if (result.outcome) {
      const bool follows = database_.record_charge(result);
      refunds_follow = refunds_follow || follows;
    } else {
      database_.postpone_charge(result);
    }
    co_await commit(&line_, &database_);
  }
  co_return refunds_follow;
}

Task<bool> PaymentStoreOverLine::close_order(Context, payment::Cancellation cancellation) {
  co_await line_.go();
  const bool due = database_.close_order(cancellation);
  co_await commit(&line_, &database_);
  co_return due;
}

Task<Result<payment::Answer>> PaymentStoreOverLine::request_refund(Context,
                                                                   payment::RefundRequest request,
                                                                   payment::RequestKey key,
                                                                   payment::Answer answer) {
  co_await line_.go();
  auto taken = database_.request_refund(request, key, answer);
  co_await line_.back();
  co_return taken;
}

Task<std::vector<payment::RefundCall>> PaymentStoreOverLine::claim_refunds(Context,
                                                                           std::size_t count_max,
                                                                           milliseconds lease) {
  co_await line_.go();
  auto calls = database_.claim_refunds(count_max, lease);
  co_await line_.back();
  co_return calls;
}

Task<std::optional<payment::RefundCall>> PaymentStoreOverLine::claim_refund(Context, RefundId,
                                                                            milliseconds) {
  fail_invariant("no operator works here", std::source_location::current());
}

Task<bool> PaymentStoreOverLine::record_refund(Context, payment::RefundCall call,
                                               payment::RefundOutcome outcome) {
  co_await line_.go();
  const bool follows = database_.record_refund(call, outcome);
  co_await commit(&line_, &database_);
  co_return follows;
}

Task<bool> PaymentStoreOverLine::record_refund_by_hand(Context, payment::RefundCall, std::string) {
  fail_invariant("no operator works here", std::source_location::current());
}

Task<> PaymentStoreOverLine::postpone_refund(Context, RefundId id, milliseconds retry_in) {
  co_await line_.go();
  database_.postpone_refund(id, retry_in);
  co_await line_.back();
}

Task<Result<payment::PaymentView>> PaymentStoreOverLine::find(Context, PaymentId, payment::Viewer) {
  fail_invariant("nobody looks at payments here", std::source_location::current());
}

Task<std::optional<payment::PaymentView>> PaymentStoreOverLine::find_by_order(Context, OrderId,
                                                                              payment::Viewer) {
  fail_invariant("nobody looks at payments here", std::source_location::current());
}

Task<std::optional<payment::Payment>> PaymentStoreOverLine::payment_of_order(Context,
                                                                             OrderId order) {
  co_await line_.go();
  auto payment = database_.payment_of(order);
  co_await line_.back();
  co_return payment;
}

Task<std::vector<payment::Balance>> PaymentStoreOverLine::balances(Context) {
  fail_invariant("nobody reads the ledger here", std::source_location::current());
}

Task<payment::EntryPage> PaymentStoreOverLine::entries(Context, payment::ListEntries) {
  fail_invariant("nobody reads the ledger here", std::source_location::current());
}

Task<bool> PaymentStoreOverLine::store_provider_event(Context, payment::ProviderEvent event) {
  co_await line_.go();
  const bool fresh = database_.store_provider_event(event);
  co_await line_.back();
  co_return fresh;
}

Task<std::size_t> PaymentStoreOverLine::act_on_provider_events(Context, std::size_t) {
  co_await line_.go();
  const std::size_t done = database_.act_on_provider_events();
  co_await line_.back();
  co_return done;
}

}  // namespace stoa::simulation
