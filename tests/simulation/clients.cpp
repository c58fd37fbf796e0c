#include "tests/simulation/clients.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "tests/simulation/world.hpp"

namespace stoa::simulation {
namespace {

constexpr milliseconds start_max{25'000};
constexpr milliseconds change_of_mind_max{12'000};
constexpr milliseconds impatience_max{900};
constexpr int looks_for_money_max = 12;
constexpr milliseconds look_pause{2'500};

constexpr std::array tokens = {token_ok,           token_ok,
                               token_ok,           token_ok,
                               token_silent,       token_error_then_ok,
                               token_declined,     token_refund_fails_once,
                               token_refund_silent};

}  // namespace

Clients::Clients(World& world)
    : world_{world}, process_{world.room().add({.start = [] {}, .die = [] {}})} {
  for (int client = 0; client < client_count; ++client) {
    const UserId buyer{world.room().chance().uuid()};
    for (int number = 0; number < purchases_of_a_client; ++number) {
      plans_.push_back(drawn({.client = client, .number = number}, buyer));
    }
  }
}

Plan Clients::drawn(Purchase purchase, UserId buyer) {
  Chance& chance = world_.room().chance();
  const auto in_hundred = [&](std::uint64_t percent) {
    return chance.in_hundred(Stream::clients, percent);
  };
  const auto within = [&](milliseconds max) {
    return chance.between(Stream::clients, milliseconds{0}, max);
  };
  Plan plan{.purchase = purchase,
            .start = within(start_max),
            .buyer = buyer,
            .key = {.caller = buyer.str(), .origin = {chance.uuid()}, .fingerprint = "first"},
            .token = std::string{tokens[chance.below(Stream::clients, tokens.size())]},
            .gives_up = in_hundred(30),
            .twin = in_hundred(25),
            .other_lines = in_hundred(10)};
  auto variants = world_.stock().variants();
  const std::uint64_t line_count = 1 + chance.below(Stream::clients, 2);
  for (std::uint64_t i = 0; i < line_count; ++i) {
    const std::uint64_t chosen = chance.below(Stream::clients, variants.size());
    const auto quantity = static_cast<std::uint32_t>(1 + chance.below(Stream::clients, 4));
    plan.lines.push_back({.variant = variants[chosen], .quantity = quantity});
    variants.erase(variants.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  if (in_hundred(40)) {
    plan.cancel = Plan::Cancel{.after = within(change_of_mind_max)};
    order::IdempotencyKey key{
        .caller = buyer.str(), .origin = {chance.uuid()}, .fingerprint = "cancel"};
    if (in_hundred(50)) plan.cancel->key = std::move(key);
  }
  const std::uint64_t refund_count = in_hundred(40) ? 1 + chance.below(Stream::clients, 3) : 0;
  for (std::uint64_t i = 0; i < refund_count; ++i) {
    plan.refunds.push_back({.after = within(change_of_mind_max),
                            .key = chance.uuid(),
                            .percent = 10 + std::int64_t(chance.below(Stream::clients, 100)),
                            .twin = in_hundred(30)});
  }
  return plan;
}

void Clients::start() {
  const auto& kept = world_.room().schedule().purchases;
  for (const Plan& plan : plans_) {
    if (kept && !kept->contains(plan.purchase)) continue;
    begin(purchase(plan));
    if (plan.twin) begin(twin_of(plan));
    if (plan.other_lines) begin(reuse_key(plan));
  }
}

void Clients::begin(Task<> task) {
  ++busy_;
  world_.room().engine().spawn("client", counted(std::move(task)));
}

Task<> Clients::counted(Task<> task) {
  co_await std::move(task);
  --busy_;
}

Task<> Clients::impatience(int tries) {
  const auto pause = world_.room().chance().between(Stream::network, milliseconds{50},
                                                    impatience_max * std::min(tries, 4));
  co_await world_.room().engine().pause(process_, pause);
}

Task<> Clients::purchase(Plan plan) {
  co_await world_.room().engine().pause(process_, plan.start);
  const auto order = co_await place(plan);
  if (!order) co_return;
  if (plan.cancel) begin(cancel(plan, *order));
  for (const Plan::Refund& wish : plan.refunds) {
    begin(refund(plan, *order, wish));
    if (wish.twin) begin(refund(plan, *order, wish));
  }
}

Task<> Clients::twin_of(Plan plan) {
  co_await world_.room().engine().pause(process_, plan.start + milliseconds{20});
  co_await place(std::move(plan));
}

Task<> Clients::reuse_key(Plan plan) {
  co_await world_.room().engine().pause(process_, plan.start + milliseconds{200});
  plan.lines.front().quantity += 1;
  plan.key.fingerprint = "other";
  co_await place(std::move(plan));
}

Task<std::optional<OrderId>> Clients::place(Plan plan) {
  for (int tries = 1;; ++tries) {
    const std::size_t to = world_.any_replica();
    order::PlaceOrder command{.wanted = plan.lines,
                              .currency = currencies::eur,
                              .shipping_address = {},
                              .shipping_method = std::string{order::standard_shipping},
                              .payment_token = plan.token,
                              .customer = plan.buyer,
                              .key = plan.key};
    std::function<Task<Result<order::Answer>>()> ask = [this, to, command] {
      return world_.order(to).orders().place({}, command);
    };
    const auto answer = co_await if_available(world_.room().call<Result<order::Answer>>(
        process_, world_.order_process(to), std::move(ask)));
    if (answer) co_return noted(plan, *answer);
    if (plan.gives_up) co_return std::nullopt;
    co_await impatience(tries);
  }
}

// One key, one answer: a twin may be refused where the first was not yet stored, but whoever gets
// an order gets the same.
std::optional<OrderId> Clients::noted(const Plan& plan, const Result<order::Answer>& answer) {
  if (!answer) {
    ++refused_;
    return std::nullopt;
  }
  const auto [first, fresh] = answers_.emplace(plan.key.origin, answer->body);
  if (first->second != answer->body) {
    world_.room().violated(
        "idempotency", std::format("a key was answered {} and {}", first->second, answer->body));
  }
  const auto order = OrderId::parse(answer->body);
  if (fresh && order) told_.push_back(*order);
  return order;
}

Task<> Clients::cancel(Plan plan, OrderId order) {
  co_await world_.room().engine().pause(process_, plan.cancel->after);
  for (int tries = 1;; ++tries) {
    const std::size_t to = world_.any_replica();
    order::CancelOrder command{
        .id = order, .viewer = {.user = plan.buyer}, .key = plan.cancel->key};
    std::function<Task<Result<order::Answer>>()> ask = [this, to, command] {
      return world_.order(to).orders().cancel({}, command);
    };
    const auto answer = co_await if_available(world_.room().call<Result<order::Answer>>(
        process_, world_.order_process(to), std::move(ask)));
    if (answer) co_return;
    co_await impatience(tries);
  }
}

// Staff looks for the money, then asks for a share of it; shares may add up to more than there is.
Task<> Clients::refund(Plan plan, OrderId order, Plan::Refund wish) {
  co_await world_.room().engine().pause(process_, wish.after);
  for (int look = 0; look < looks_for_money_max; ++look) {
    const auto payment = world_.payments().payment_of(order);
    const bool captured = payment && payment->status == payment::PaymentStatus::captured;
    if (!captured) {
      co_await world_.room().engine().pause(process_, look_pause);
      continue;
    }
    const std::int64_t minor =
        std::max<std::int64_t>(payment->captured_minor * wish.percent / 100, 1);
    const payment::RefundRequest request{.id = {world_.room().chance().uuid()},
                                         .payment = payment->id,
                                         .amount = Money{minor, currencies::eur},
                                         .reason = "",
                                         .requested_by = "",
                                         .traceparent = ""};
    const payment::RequestKey key{
        .origin = wish.key, .caller = plan.key.caller, .fingerprint = "refund"};
    const std::size_t to = world_.any_replica();
    std::function<Task<Result<payment::Answer>>()> ask = [this, to, request, key] {
      const payment::Answer answer{.status = 202, .headers = "", .body = request.id.str()};
      return world_.payment(to).refunds().request({}, request, key, answer);
    };
    const auto answer = co_await if_available(world_.room().call<Result<payment::Answer>>(
        process_, world_.payment_process(to), std::move(ask)));
    if (answer) co_return;
    co_await impatience(look + 1);
  }
}

}  // namespace stoa::simulation
