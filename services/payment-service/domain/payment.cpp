#include "services/payment-service/domain/payment.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"

namespace stoa::payment {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds closing_backoff_first{1'000};
constexpr milliseconds closing_backoff_max{300'000};
constexpr milliseconds question_backoff_first{250};
constexpr milliseconds question_backoff_max{5'000};
constexpr int doublings_max = 20;

milliseconds doubled(milliseconds first, int times, milliseconds max) {
  return std::min(first * (1 << std::clamp(times, 0, doublings_max)), max);
}

template <class Enum, std::size_t Count>
std::optional<Enum> parse(std::string_view text, const std::array<Enum, Count>& all) {
  for (const Enum value : all) {
    if (name(value) == text) return value;
  }
  return std::nullopt;
}

Money money(const Payment& payment, std::int64_t minor) {
  require(payment.amount.has_value(), "money moves only for a payment that has an amount");
  return {minor, payment.amount->currency()};
}

/// Of a closed order nothing may stay captured.
void give_back_the_rest(Change& change) {
  Payment& payment = change.payment;
  const std::int64_t rest = payment.refundable_minor();
  if (!payment.closed || rest == 0) return;
  payment.pending_minor += rest;
  change.closing_refund = {.amount = money(payment, rest),
                           .after = payment.closing_failures == 0
                                        ? milliseconds{0}
                                        : closing_backoff(payment.closing_failures)};
}

bool nothing_left(const Payment& payment) {
  return payment.closed && payment.refunded_minor == payment.captured_minor;
}

Change refund_paid(Payment payment, const Refund& refund, Account from) {
  require(open(refund.status), "only an open refund ends");
  payment.pending_minor -= refund.amount.minor_units();
  payment.refunded_minor += refund.amount.minor_units();
  payment.closing_failures = 0;
  payment.last_refund = refund.id;
  payment.last_refund_minor = refund.amount.minor_units();
  Change change{.payment = std::move(payment)};
  change.entries = {
      {.account = from, .amount = money(change.payment, -refund.amount.minor_units())},
      {.account = Account::refunded_payments, .amount = refund.amount}};
  change.happenings = {{.kind = Happening::Kind::refunded,
                        .refund = refund.id,
                        .amount_minor = refund.amount.minor_units(),
                        .closes_order = nothing_left(change.payment)}};
  give_back_the_rest(change);
  return change;
}

}  // namespace

std::string_view name(PaymentStatus status) {
  switch (status) {
    case PaymentStatus::pending:
      return "pending";
    case PaymentStatus::captured:
      return "captured";
    case PaymentStatus::declined:
      return "declined";
    case PaymentStatus::voided:
      return "voided";
  }
  std::unreachable();
}

std::string_view name(AttemptStatus status) {
  switch (status) {
    case AttemptStatus::started:
      return "started";
    case AttemptStatus::unknown:
      return "unknown";
    case AttemptStatus::captured:
      return "captured";
    case AttemptStatus::declined:
      return "declined";
    case AttemptStatus::voided:
      return "voided";
  }
  std::unreachable();
}

std::string_view name(RefundStatus status) {
  switch (status) {
    case RefundStatus::pending:
      return "pending";
    case RefundStatus::unknown:
      return "unknown";
    case RefundStatus::succeeded:
      return "succeeded";
    case RefundStatus::failed:
      return "failed";
  }
  std::unreachable();
}

std::string_view name(Account account) {
  switch (account) {
    case Account::provider_cash:
      return "provider_cash";
    case Account::captured_payments:
      return "captured_payments";
    case Account::refunded_payments:
      return "refunded_payments";
    case Account::settled_by_hand:
      return "settled_by_hand";
    case Account::unexplained:
      return "unexplained";
  }
  std::unreachable();
}

std::optional<PaymentStatus> parse_payment_status(std::string_view text) {
  using enum PaymentStatus;
  return parse(text, std::array{pending, captured, declined, voided});
}

std::optional<AttemptStatus> parse_attempt_status(std::string_view text) {
  using enum AttemptStatus;
  return parse(text, std::array{started, unknown, captured, declined, voided});
}

std::optional<RefundStatus> parse_refund_status(std::string_view text) {
  using enum RefundStatus;
  return parse(text, std::array{pending, unknown, succeeded, failed});
}

Change settle_charge(Payment payment, const ChargeOutcome& outcome) {
  require(payment.status == PaymentStatus::pending, "only a pending payment is settled");
  Change change{.payment = std::move(payment)};
  Payment& settled = change.payment;
  switch (outcome.kind) {
    case ChargeOutcome::Kind::captured: {
      const Money amount = money(settled, settled.amount->minor_units());
      settled.status = PaymentStatus::captured;
      settled.captured_minor = amount.minor_units();
      change.entries = {
          {.account = Account::provider_cash, .amount = amount},
          {.account = Account::captured_payments, .amount = money(settled, -amount.minor_units())}};
      change.happenings = {
          {.kind = Happening::Kind::captured, .amount_minor = amount.minor_units()}};
      give_back_the_rest(change);
      return change;
    }
    case ChargeOutcome::Kind::declined:
      settled.status = PaymentStatus::declined;
      settled.decline_reason = outcome.reason;
      change.happenings = {{.kind = Happening::Kind::declined, .reason = outcome.reason}};
      return change;
    case ChargeOutcome::Kind::voided:
      settled.status = PaymentStatus::voided;
      change.happenings = {{.kind = Happening::Kind::voided}};
      return change;
  }
  std::unreachable();
}

Change close(Payment payment) {
  payment.closed = true;
  Change change{.payment = std::move(payment)};
  Payment& closed = change.payment;
  switch (closed.status) {
    case PaymentStatus::pending:
      return change;  // the attempt's end decides
    case PaymentStatus::declined:
      change.happenings = {{.kind = Happening::Kind::declined, .reason = closed.decline_reason}};
      return change;
    case PaymentStatus::voided:
      change.happenings = {{.kind = Happening::Kind::voided}};
      return change;
    case PaymentStatus::captured:
      if (nothing_left(closed)) {
        change.happenings = {{.kind = Happening::Kind::refunded,
                              .refund = closed.last_refund,
                              .amount_minor = closed.last_refund_minor,
                              .closes_order = true}};
      }
      give_back_the_rest(change);
      return change;
  }
  std::unreachable();
}

Result<Change> request_refund(Payment payment, Money amount) {
  if (payment.status != PaymentStatus::captured) {
    return refuse(ErrorKind::conflict, "payment_not_captured",
                  "only money that was captured can be given back");
  }
  if (amount.currency() != payment.amount->currency()) {
    return refuse(ErrorKind::invalid, "refund_currency", "a refund has the payment's currency",
                  {{.pointer = "/amount/currency",
                    .code = "refund_currency",
                    .detail = std::string{payment.amount->currency().code()}}});
  }
  require(amount.minor_units() > 0, "a refund gives something back");
  if (amount.minor_units() > payment.refundable_minor()) {
    return refuse(
        ErrorKind::conflict, "refund_exceeds_captured",
        std::format("{} left to refund", money(payment, payment.refundable_minor()).decimal()));
  }
  payment.pending_minor += amount.minor_units();
  return Change{.payment = std::move(payment)};
}

Change settle_refund(Payment payment, const Refund& refund, const RefundOutcome& outcome) {
  if (outcome.kind == RefundOutcome::Kind::succeeded) {
    return refund_paid(std::move(payment), refund, Account::provider_cash);
  }
  require(open(refund.status), "only an open refund ends");
  payment.pending_minor -= refund.amount.minor_units();
  if (refund.closing) ++payment.closing_failures;
  Change change{.payment = std::move(payment)};
  give_back_the_rest(change);
  return change;
}

Change settle_refund_by_hand(Payment payment, const Refund& refund) {
  return refund_paid(std::move(payment), refund, Account::settled_by_hand);
}

milliseconds closing_backoff(int failures) {
  return doubled(closing_backoff_first, failures - 1, closing_backoff_max);
}

milliseconds question_backoff(int tries) {
  return doubled(question_backoff_first, tries - 1, question_backoff_max);
}

std::string_view state_for_order(const Payment& payment) {
  switch (payment.status) {
    case PaymentStatus::pending:
      return "unknown";
    case PaymentStatus::declined:
      return "declined";
    case PaymentStatus::voided:
      return "voided";
    case PaymentStatus::captured:
      return payment.refunded_minor == payment.captured_minor ? "refunded" : "captured";
  }
  std::unreachable();
}

std::string_view public_status(const Payment& payment) {
  if (payment.status != PaymentStatus::captured || payment.refunded_minor == 0) {
    return name(payment.status);
  }
  return payment.refunded_minor == payment.captured_minor ? "refunded" : "partly_refunded";
}

}  // namespace stoa::payment
