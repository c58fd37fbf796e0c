#include "services/order-service/app/orders.hpp"

#include <set>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/runtime/mutant.hpp"

namespace stoa::order {
namespace {

constexpr int placing_rounds_max = 2;
constexpr int cancelling_rounds_max = 5;

std::unexpected<Error> order_not_found() {
  return refuse(ErrorKind::not_found, "order_not_found", "there is no such order");
}

}  // namespace

Orders::Orders(StockAndPrices& stock, Payments& payments, OrderStore& store, Publisher& publisher,
               Sources sources)
    : stock_{stock},
      payments_{payments},
      store_{store},
      publisher_{publisher},
      sources_{std::move(sources)} {}

Task<Result<Answer>> Orders::place(Context context, PlaceOrder command) {
  // Everything that can be refused without stock is refused before any is held.
  const auto acceptable = check_wanted(command.wanted);
  if (!acceptable) co_return std::unexpected(acceptable.error());

  for (int round = 0; round < placing_rounds_max; ++round) {
    auto state = co_await store_.look_up(context, command.key);
    if (!state) co_return std::unexpected(state.error());
    if (auto answered = std::move(state->answered)) co_return std::move(*answered);

    if (!publisher_.accepting()) throw Unavailable{"too many events wait to be published"};
    auto outcome = co_await try_place(context, command, std::move(*state));
    if (outcome) co_return std::move(*outcome);
  }
  throw Unavailable{"the idempotency key is being used by a twin of this request"};
}

Task<std::optional<Result<Answer>>> Orders::try_place(Context context, PlaceOrder command,
                                                      KeyState state) {
  const Origin origin = command.key.origin;
  auto reservation = reservation_for(origin, state.generation);
  if (runtime::mutant<"order.reservation_not_of_key">()) reservation = {sources_.next_id().uuid};

  Reserve reserve{.id = reservation,
                  .origin = origin,
                  .buyer = command.customer,
                  .currency = command.currency,
                  .lines = std::move(command.wanted)};
  auto lines = co_await stock_.reserve(context, std::move(reserve));
  if (!lines && lines.error().code == "reservation_ended") co_return std::nullopt;
  if (!lines) co_return std::unexpected(lines.error());

  auto order = order::place({.id = sources_.next_id(),
                             .number = state.number,
                             .customer = command.customer,
                             .reservation = reservation,
                             .lines = std::move(*lines),
                             .currency = command.currency,
                             .shipping_address = std::move(command.shipping_address),
                             .shipping_method = std::move(command.shipping_method),
                             .now = sources_.now()});
  if (!order) {
    auto refused = co_await refuse_reserved(context, reservation, origin, order.error());
    co_return refused;
  }
  const Answer answer = sources_.render_placed(*order);
  NewOrder placed{.order = std::move(*order),
                  .key = std::move(command.key),
                  .answer = answer,
                  .payment_token = std::move(command.payment_token)};
  const bool first = co_await store_.insert_if_first(context, std::move(placed));
  if (!first) co_return std::nullopt;
  publisher_.wake();
  co_return answer;
}

// The reservation may belong to an order that a twin has stored: only the tombstone tells.
Task<Result<Answer>> Orders::refuse_reserved(Context context, ReservationId id, Origin origin,
                                             Error refusal) {
  const Claim claim = co_await store_.abandon(context, id, origin);
  if (!claim.holder) co_await stock_.release(context, id);
  co_return std::unexpected(std::move(refusal));
}

Task<Result<Order>> Orders::get(Context context, Viewer viewer, OrderId id) {
  auto order = co_await store_.find(context, id);
  const bool shows_all = viewer.reads_all || runtime::mutant<"order.foreign_order_shown">();
  if (!order || (order->customer != viewer.user && !shows_all)) co_return order_not_found();
  co_return std::move(*order);
}

Task<OrderPage> Orders::list(Context context, ListOrders query) {
  auto page = co_await store_.list(std::move(context), std::move(query));
  co_return page;
}

Task<Result<std::vector<HistoryEntry>>> Orders::history(Context context, Viewer viewer,
                                                        OrderId id) {
  const auto order = co_await get(context, viewer, id);
  if (!order) co_return std::unexpected(order.error());
  auto entries = co_await store_.history(context, id);
  co_return entries;
}

Task<Result<Answer>> Orders::cancel(Context context, CancelOrder command) {
  if (command.key) {
    const auto first = co_await store_.first_answer(context, *command.key);
    if (!first) co_return std::unexpected(first.error());
    if (*first) co_return **first;
  }
  for (int round = 0; round < cancelling_rounds_max; ++round) {
    const auto order = co_await store_.find(context, command.id);
    const bool own = order && order->customer == command.viewer.user;
    if (!order || (!own && !command.viewer.writes_all)) co_return order_not_found();

    const auto reason = own ? CancelReason::customer : CancelReason::staff;
    const auto cancelling = order::cancel(*order, reason, sources_.now());
    if (!cancelling) co_return std::unexpected(cancelling.error());
    const Answer answer = sources_.render_cancelling(*cancelling);
    if (cancelling->version == order->version) co_return answer;

    const bool stored =
        co_await store_.store_cancelling(context, *cancelling, reason, command.key, answer);
    if (stored) {
      publisher_.wake();
      co_return answer;
    }
  }
  throw Unavailable{"the order keeps changing"};
}

Task<Claim> Orders::abandon(Context context, ReservationId id, Origin origin) {
  const Claim claim = co_await store_.abandon(std::move(context), id, origin);
  co_return claim;
}

Task<std::vector<Effect>> Orders::apply(Context context, std::vector<PaymentFact> facts) {
  std::vector<Effect> effects(facts.size(), Effect::unchanged);
  std::vector<std::size_t> left(facts.size());
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = i;

  // Two facts about one order are applied one after the other, in the order they came.
  while (!left.empty()) {
    std::vector<PaymentFact> batch;
    std::vector<std::size_t> positions;
    std::vector<std::size_t> later;
    std::set<OrderId> taken;
    for (const std::size_t i : left) {
      if (taken.insert(facts[i].order).second) {
        batch.push_back(facts[i]);
        positions.push_back(i);
      } else {
        later.push_back(i);
      }
    }
    const auto outcomes = co_await store_.apply(context, std::move(batch));
    require(outcomes.size() == positions.size(), "each fact has an effect");
    for (std::size_t i = 0; i < positions.size(); ++i) effects[positions[i]] = outcomes[i];
    left = std::move(later);
  }
  publisher_.wake();
  co_return effects;
}

Task<std::size_t> Orders::sweep(Context context) {
  const auto overdue = co_await store_.claim_overdue(context, sweep_batch);
  for (const Overdue& order : overdue) {
    switch (order.status) {
      case Status::pending:
        co_await settle(context, order);
        break;
      case Status::cancelling:
        co_await store_.repeat_cancel_request(context, order);
        break;
      case Status::paid:
      case Status::payment_failed:
      case Status::cancelled:
        fail_invariant("only an order that waits is swept", std::source_location::current());
    }
  }
  if (!overdue.empty()) publisher_.wake();
  co_return overdue.size();
}

// No answer from payment-service: Unavailable leaves, and the lease's end brings the order back.
Task<> Orders::settle(Context context, Overdue overdue) {
  const auto known = co_await payments_.state_of(context, overdue.id);
  const auto result = overdue_result(known.state);
  if (!result) {
    co_await expire(context, overdue);
    co_return;
  }
  std::vector<PaymentFact> facts;
  facts.push_back({.event = sources_.lost_event_id(overdue.id, *result),
                   .order = overdue.id,
                   .customer = overdue.customer,
                   .result = *result,
                   .reason = known.reason,
                   .traceparent = ""});
  co_await store_.apply(context, std::move(facts));
}

Task<> Orders::expire(Context context, Overdue overdue) {
  const auto order = co_await store_.find(context, overdue.id);
  if (!order || order->status != Status::pending) co_return;
  const auto cancelling = order::cancel(*order, CancelReason::expired, sources_.now());
  require(cancelling.has_value(), "a pending order can be cancelled");
  // False: it moved meanwhile, so it no longer waits.
  co_await store_.store_cancelling(context, *cancelling, CancelReason::expired, std::nullopt, {});
}

}  // namespace stoa::order
