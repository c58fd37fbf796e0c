#include "tests/simulation/provider.hpp"

#include <utility>

namespace stoa::simulation {
namespace {

using payment::ChargeOutcome;
using payment::RefundOutcome;

constexpr int errors_before_ok = 2;
constexpr milliseconds webhook_min{20};
constexpr milliseconds webhook_max{6'000};
constexpr std::uint64_t webhook_times = 4;  // 0 to 3: lost, once, or repeated

}  // namespace

Provider::Provider(Room& room, Notify notify)
    : room_{room}, notify_{std::move(notify)}, process_{room.add({.start = [] {}, .die = [] {}})} {}

void Provider::answer_or_throw() const {
  if (room_.engine().now() < away_until_) throw Unavailable{"the provider is away"};
}

Task<ChargeOutcome> Provider::charge(payment::Charge charge, AttemptId key) {
  answer_or_throw();
  if (const auto known = charges_.find(key); known != charges_.end()) co_return known->second;
  if (charge.token == token_error_then_ok && errors_[charge.order]++ < errors_before_ok) {
    throw Unavailable{"500"};
  }
  const bool captured = charge.token != token_declined;
  tokens_.insert_or_assign(charge.order, charge.token);
  using Kind = ChargeOutcome::Kind;
  const ChargeOutcome outcome{.kind = captured ? Kind::captured : Kind::declined,
                              .reason = captured ? "" : "card_declined"};
  charges_.emplace(key, outcome);
  if (captured) {
    Moved& moved = moved_[charge.order];
    ++moved.captures;
    moved.captured_minor += charge.amount.minor_units();
    write("capture", key.uuid, key.str(), charge.amount);
  }
  announce("payment.updated", key.str());
  room_.changed();
  if (charge.token == token_silent) throw Unavailable{"no answer"};
  co_return outcome;
}

Task<Provider::Known> Provider::ask_charge(AttemptId key) {
  answer_or_throw();
  const auto known = charges_.find(key);
  if (known == charges_.end()) co_return Known{};
  co_return Known{.outcome = known->second};
}

Task<ChargeOutcome> Provider::void_charge(AttemptId key) {
  answer_or_throw();
  const ChargeOutcome voided{.kind = ChargeOutcome::Kind::voided};
  co_return charges_.try_emplace(key, voided).first->second;
}

Task<RefundOutcome> Provider::refund(payment::RefundCall call, RefundId key) {
  answer_or_throw();
  if (const auto known = refunds_.find(key); known != refunds_.end()) co_return known->second;
  const std::string& token = tokens_[call.order];
  const bool fails = token == token_refund_fails_once && errors_[call.order]++ == 0;
  using Kind = RefundOutcome::Kind;
  const RefundOutcome outcome{.kind = fails ? Kind::failed : Kind::succeeded,
                              .failure = fails ? "try_again" : ""};
  refunds_.emplace(key, outcome);
  if (!fails) {
    const std::int64_t minor = call.refund.amount.minor_units();
    moved_[call.order].refunded_minor += minor;
    write("refund", key.uuid, key.str(), Money{-minor, call.refund.amount.currency()});
  }
  announce("refund.updated", key.str());
  room_.changed();
  if (token == token_refund_silent) throw Unavailable{"no answer"};
  co_return outcome;
}

Task<Provider::KnownRefund> Provider::ask_refund(RefundId key) {
  answer_or_throw();
  const auto known = refunds_.find(key);
  if (known == refunds_.end()) co_return KnownRefund{};
  co_return KnownRefund{.outcome = known->second};
}

void Provider::write(std::string kind, const Uuid& uuid, std::string key, Money amount) {
  by_key_[uuid] += amount.minor_units();
  statement_.push_back({.number = std::ssize(statement_) + 1,
                        .kind = std::move(kind),
                        .provider_payment = "",
                        .key = std::move(key),
                        .amount = amount});
}

// Late, in any order, never, or several times.
void Provider::announce(std::string type, std::string key) {
  const payment::ProviderEvent event{.id = room_.chance().uuid().str(),
                                     .type = std::move(type),
                                     .key = std::move(key),
                                     .body = ""};
  const std::uint64_t times = room_.chance().below(Stream::network, webhook_times);
  for (std::uint64_t i = 0; i < times; ++i) {
    const auto delay = room_.chance().between(Stream::network, webhook_min, webhook_max);
    room_.engine().after(delay, [this, event] { notify_(event); });
  }
}

Provider::Moved Provider::moved(OrderId order) const {
  const auto found = moved_.find(order);
  return found == moved_.end() ? Moved{} : found->second;
}

std::int64_t Provider::moved_by(const Uuid& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? 0 : found->second;
}

}  // namespace stoa::simulation
