#include "tests/simulation/invariants.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <set>
#include <utility>
#include <vector>

#include "services/payment-service/domain/reconciliation.hpp"
#include "tests/simulation/world.hpp"

namespace stoa::simulation {
namespace {

using order::Status;
using product::ReservationState;

struct Move {
  Status from;
  Status to;
};
constexpr std::array moves = std::to_array<Move>({{Status::pending, Status::paid},
                                                  {Status::pending, Status::payment_failed},
                                                  {Status::pending, Status::cancelling},
                                                  {Status::paid, Status::cancelling},
                                                  {Status::cancelling, Status::cancelled}});

bool allowed(Status from, Status to) {
  return std::ranges::any_of(moves,
                             [&](const Move& move) { return move.from == from && move.to == to; });
}

bool settled(Status status) {
  return status == Status::paid || status == Status::payment_failed || status == Status::cancelled;
}

bool ended_unpaid(Status status) {
  return status == Status::payment_failed || status == Status::cancelled;
}

bool given_back(ReservationState state) {
  return state == ReservationState::released || state == ReservationState::restocked;
}

}  // namespace

void Invariants::violated(std::string_view invariant, std::string detail) {
  world_.room().violated(std::string{invariant}, std::move(detail));
}

void Invariants::after_step() {
  check_shelves();
  check_reservations();
  check_orders();
  check_keys();
  check_payments();
  check_ledger();
}

void Invariants::check_shelves() {
  std::map<VariantId, std::int64_t> held;
  for (const auto& [id, row] : world_.stock().rows()) {
    if (row.state != ReservationState::active) continue;
    for (const auto& line : row.command.lines) held[line.variant] += line.quantity;
  }
  for (const auto& [id, shelf] : world_.stock().shelves()) {
    const auto& level = shelf.level;
    const std::string what = std::format("{}: {} on hand, {} reserved, {} in active reservations",
                                         id.str(), level.on_hand, level.reserved, held[id]);
    if (level.on_hand < 0 || level.reserved < 0 || level.available() < 0) {
      violated("stock is never negative", what);
    }
    if (level.reserved != held[id]) violated("reservations sum to what is reserved", what);
    if (shelf.delivered + shelf.journal != level.on_hand) {
      violated("the journal sums to what is on hand", what);
    }
  }
}

// Stock comes back only by the end of its order or by a tombstone; and what was sold stays sold.
void Invariants::check_reservations() {
  for (const auto& [id, row] : world_.stock().rows()) {
    const auto claim = world_.orders().claims().find(id);
    const bool claimed = claim != world_.orders().claims().end();
    const auto order =
        claimed && claim->second.order ? world_.orders().find(*claim->second.order) : std::nullopt;
    const std::string what =
        std::format("{} is {}, its order {}", id.str(), name(row.state),
                    order ? name(order->status) : std::string_view{claimed ? "abandoned" : "none"});
    const bool ended = order ? ended_unpaid(order->status) : claimed;
    if (given_back(row.state) && !ended) violated("stock comes back only from what ended", what);
    const bool was_paid = order && order->status != Status::pending;
    if (row.state == ReservationState::committed && !was_paid) {
      violated("only what was paid is taken away", what);
    }
  }
}

void Invariants::check_orders() {
  for (const auto& [id, row] : world_.orders().rows()) {
    const order::Order& order = row.order;
    const auto [seen, fresh] =
        seen_.emplace(id, Seen{.status = order.status, .version = order.version});
    if (!fresh && seen->second.version != order.version) {
      const Seen before =
          std::exchange(seen->second, Seen{.status = order.status, .version = order.version});
      const bool step = order.version == before.version + 1;
      if (!step || !allowed(before.status, order.status)) {
        violated(
            "orders move along their table",
            std::format("{} from {} to {}", id.str(), name(before.status), name(order.status)));
      }
    }
    if (fresh && order.status != Status::pending) {
      violated("orders move along their table", id.str() + " was born as something else");
    }
    check_money_of(order);
  }
}

// The provider's book is the truth: what a customer paid and got back.
void Invariants::check_money_of(const order::Order& order) {
  const Provider::Moved moved = world_.provider().moved(order.id);
  const std::string what =
      std::format("{} is {}, total {}: {} captures, {} captured, {} refunded", order.id.str(),
                  name(order.status), order.amounts.total.minor_units(), moved.captures,
                  moved.captured_minor, moved.refunded_minor);
  if (moved.captures > 1) violated("one capture at most", what);
  if (moved.refunded_minor > moved.captured_minor) {
    violated("never more refunded than captured", what);
  }
  const std::int64_t total = order.amounts.total.minor_units();
  if (moved.captures > 0 && moved.captured_minor != total) {
    violated("what is captured is the total", what);
  }
  if (order.status == Status::paid && moved.captures != 1) violated("paid is captured", what);
  const std::int64_t kept = moved.captured_minor - moved.refunded_minor;
  if (ended_unpaid(order.status) && kept != 0) {
    violated("nothing is kept of an order that ended", what);
  }
}

void Invariants::check_keys() {
  std::set<order::Origin> seen;
  for (const auto& [id, claim] : world_.orders().claims()) {
    if (claim.order && !seen.insert(claim.origin).second) {
      violated("one key, one order", claim.origin.value.str());
    }
  }
}

void Invariants::check_payments() {
  std::map<PaymentId, std::int64_t> pending;
  for (const auto& [id, row] : world_.payments().refunds()) {
    if (payment::open(row.refund.status)) {
      pending[row.refund.payment] += row.refund.amount.minor_units();
    }
  }
  for (const auto& [order, payment] : world_.payments().payments()) {
    const std::string what = std::format(
        "{}: {} captured, {} refunded, {} pending, {} in open refunds", order.str(),
        payment.captured_minor, payment.refunded_minor, payment.pending_minor, pending[payment.id]);
    if (payment.refunded_minor < 0 || payment.pending_minor < 0 || payment.refundable_minor() < 0) {
      violated("refunds stay below what was captured", what);
    }
    if (payment.pending_minor != pending[payment.id]) {
      violated("open refunds sum to what is pending", what);
    }
    const bool captured = payment.status == payment::PaymentStatus::captured;
    const std::int64_t at_provider = world_.provider().moved(order).captured_minor;
    if (captured && payment.captured_minor != at_provider) {
      violated("what we booked the provider has", what);
    }
  }
}

void Invariants::check_ledger() {
  const auto& ledger = world_.payments().ledger();
  std::int64_t sum = 0;
  for (const auto& row : ledger) sum += row.entry.amount.minor_units();
  if (sum != 0) violated("the ledger sums to 0", std::format("{}", sum));
  for (; entries_seen_ < ledger.size(); ++entries_seen_) {
    const auto& row = ledger[entries_seen_];
    if (row.entry.account != payment::Account::provider_cash) continue;
    const std::int64_t moved = world_.provider().moved_by(row.transaction);
    if (moved != row.entry.amount.minor_units()) {
      violated("what we booked the provider has",
               std::format("transaction {}: {} booked, {} moved", row.transaction.str(),
                           row.entry.amount.minor_units(), moved));
    }
  }
}

bool Invariants::rests() const {
  const bool quiet = world_.clients().done() && world_.broker().empty() &&
                     world_.orders().outbox().rows().empty() &&
                     world_.payments().outbox().rows().empty();
  if (!quiet) return false;
  const auto waits = [](const auto& entry) { return !settled(entry.second.order.status); };
  if (std::ranges::any_of(world_.orders().rows(), waits)) return false;
  const auto charges = [](const auto& entry) { return payment::open(entry.second.status); };
  if (std::ranges::any_of(world_.payments().attempts(), charges)) return false;
  const auto refunds = [](const auto& entry) { return payment::open(entry.second.refund.status); };
  if (std::ranges::any_of(world_.payments().refunds(), refunds)) return false;
  const auto holds = [](const auto& entry) {
    return entry.second.state == ReservationState::active;
  };
  return std::ranges::none_of(world_.stock().rows(), holds);
}

std::string Invariants::unfinished() const {
  std::string text =
      std::format("clients {}, messages {}, outboxes {} and {}",
                  world_.clients().done() ? "done" : "waiting", world_.broker().size(),
                  world_.orders().outbox().rows().size(), world_.payments().outbox().rows().size());
  for (const auto& [id, row] : world_.orders().rows()) {
    if (!settled(row.order.status)) {
      text += std::format("; {} is {}", id.str(), name(row.order.status));
    }
  }
  for (const auto& [id, row] : world_.payments().attempts()) {
    if (payment::open(row.status)) text += std::format("; {} is {}", id.str(), name(row.status));
  }
  for (const auto& [id, row] : world_.payments().refunds()) {
    if (payment::open(row.refund.status)) text += std::format("; {} is open", id.str());
  }
  for (const auto& [id, row] : world_.stock().rows()) {
    if (row.state == ReservationState::active) text += std::format("; {} is active", id.str());
  }
  return text;
}

void Invariants::at_rest() {
  for (const OrderId& told : world_.clients().told()) {
    if (!world_.orders().find(told)) violated("what was answered is there", told.str());
  }
  for (const auto& [id, row] : world_.orders().rows()) {
    const auto& stock = world_.stock().rows().at(row.order.reservation);
    const bool paid = row.order.status == Status::paid;
    const bool agree = paid ? stock.state == ReservationState::committed : given_back(stock.state);
    if (!agree) {
      violated("stock agrees with the order",
               std::format("{} is {}, its reservation {}", id.str(), name(row.order.status),
                           name(stock.state)));
    }
  }
  std::vector<payment::CashEntry> cash;
  for (const auto& row : world_.payments().ledger()) {
    if (row.entry.account != payment::Account::provider_cash) continue;
    cash.push_back({.transaction = row.transaction, .amount = row.entry.amount});
  }
  std::ranges::sort(cash, {}, &payment::CashEntry::transaction);
  const auto differences = payment::compare(world_.provider().statement(), cash,
                                            [](std::string_view) { return Uuid{}; });
  if (!differences.empty()) violated("our cash is the provider's", describe(differences.front()));
}

}  // namespace stoa::simulation
