#include "tools/payment-simulator/book.hpp"

#include <array>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"

namespace stoa::simulator {
namespace {

struct TokenRow {
  std::string_view token;
  Behaviour behaviour;
};

constexpr std::array tokens = std::to_array<TokenRow>({
    {"tok_ok", Behaviour::ok},
    {"tok_declined", Behaviour::declined},
    {"tok_insufficient_funds", Behaviour::insufficient_funds},
    {"tok_timeout_after_capture", Behaviour::timeout_after_capture},
    {"tok_slow", Behaviour::slow},
    {"tok_error_then_ok", Behaviour::error_then_ok},
    {"tok_3ds", Behaviour::needs_3ds},
    {"tok_refund_fails_once", Behaviour::refund_fails_once},
    {"tok_refund_refused", Behaviour::refund_refused},
    {"tok_refund_timeout", Behaviour::refund_timeout},
    {"tok_webhook_duplicate", Behaviour::webhook_duplicate},
    {"tok_webhook_late", Behaviour::webhook_late},
    {"tok_webhook_reordered", Behaviour::webhook_reordered},
});

/// Why a token is declined; "" when it is not.
std::string_view decline_code(Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::declined:
      return "card_declined";
    case Behaviour::insufficient_funds:
      return "insufficient_funds";
    case Behaviour::needs_3ds:
      return "authentication_required";
    case Behaviour::invalid:
      return "invalid_token";
    case Behaviour::ok:
    case Behaviour::timeout_after_capture:
    case Behaviour::slow:
    case Behaviour::error_then_ok:
    case Behaviour::refund_fails_once:
    case Behaviour::refund_refused:
    case Behaviour::refund_timeout:
    case Behaviour::webhook_duplicate:
    case Behaviour::webhook_late:
    case Behaviour::webhook_reordered:
      return "";
  }
  std::unreachable();
}

PaymentStatus parse_status(std::string_view text) {
  if (text == "authorised") return PaymentStatus::authorised;
  if (text == "captured") return PaymentStatus::captured;
  if (text == "declined") return PaymentStatus::declined;
  require(text == "voided", "a journal holds known statuses only");
  return PaymentStatus::voided;
}

bool same_request(const Payment& payment, const PayRequest& request) {
  return payment.amount == request.amount && payment.currency == request.currency &&
         payment.token == request.token && payment.reference == request.reference &&
         payment.capture_at_once == request.capture;
}

Decision refuse_with(Refusal refusal) { return {.refusal = refusal}; }

/// Whether the refund fails, and why; "" when it succeeds.
std::string_view refund_failure(const Payment& payment) {
  const Behaviour behaviour = behaviour_of(payment.token);
  if (behaviour == Behaviour::refund_refused) return "refund_refused";
  if (behaviour == Behaviour::refund_fails_once && !payment.refund_failed_before) {
    return "refund_failed";
  }
  return "";
}

}  // namespace

Behaviour behaviour_of(std::string_view token) {
  for (const TokenRow& row : tokens) {
    if (row.token == token) return row.behaviour;
  }
  return Behaviour::invalid;
}

std::string_view name(PaymentStatus status) {
  switch (status) {
    case PaymentStatus::authorised:
      return "authorised";
    case PaymentStatus::captured:
      return "captured";
    case PaymentStatus::declined:
      return "declined";
    case PaymentStatus::voided:
      return "voided";
  }
  std::unreachable();
}

Decision Book::pay(const PayRequest& request, std::int64_t now_ms) const {
  const Entry* known = find(request.key);
  if (known != nullptr && known->kind == Entry::Kind::withdrawn) return {};
  if (known != nullptr && known->kind != Entry::Kind::erred) {
    const bool same = known->kind == Entry::Kind::payment && same_request(*known->payment, request);
    return same ? Decision{} : refuse_with(Refusal::key_reused);
  }

  const Behaviour behaviour = behaviour_of(request.token);
  Record record{.verb = "pay", .key = request.key, .status = "", .at_ms = now_ms};
  if (behaviour == Behaviour::error_then_ok && known == nullptr) {
    record.verb = "error";
    return {.record = std::move(record)};
  }
  const std::string_view code = decline_code(behaviour);
  record.status = !code.empty() ? "declined" : request.capture ? "captured" : "authorised";
  record.payment = std::format("psp_{:012}", sequence_ + 1);
  record.amount = request.amount;
  record.currency = request.currency;
  record.token = request.token;
  record.reference = request.reference;
  record.code = code;
  record.capture_at_once = request.capture;
  return {.record = std::move(record)};
}

Decision Book::capture(const std::string& key, const std::string& payment_id,
                       std::optional<std::int64_t> amount, std::int64_t now_ms) const {
  if (const Entry* known = find(key)) {
    const bool same = known->kind == Entry::Kind::capture && known->payment->id == payment_id &&
                      known->amount == amount.value_or(known->amount);
    const bool answered = same || known->kind == Entry::Kind::withdrawn;
    return answered ? Decision{} : refuse_with(Refusal::key_reused);
  }
  const Payment* payment = find_payment(payment_id);
  if (payment == nullptr) return refuse_with(Refusal::payment_unknown);
  const std::int64_t wanted = amount.value_or(payment->amount);
  if (payment->status != PaymentStatus::authorised || wanted > payment->amount || wanted <= 0) {
    return refuse_with(Refusal::not_capturable);
  }
  return {.record = Record{.verb = "capture",
                           .key = key,
                           .status = "captured",
                           .payment = payment_id,
                           .amount = wanted,
                           .currency = payment->currency,
                           .at_ms = now_ms}};
}

Decision Book::refund(const std::string& key, const std::string& payment_id, std::int64_t amount,
                      std::int64_t now_ms) const {
  if (const Entry* known = find(key)) {
    const bool same = known->kind == Entry::Kind::refund && known->payment->id == payment_id &&
                      known->amount == amount;
    const bool answered = same || known->kind == Entry::Kind::withdrawn;
    return answered ? Decision{} : refuse_with(Refusal::key_reused);
  }
  const Payment* payment = find_payment(payment_id);
  if (payment == nullptr) return refuse_with(Refusal::payment_unknown);
  if (amount <= 0 || amount > payment->captured - payment->refunded) {
    return refuse_with(Refusal::not_refundable);
  }
  const std::string_view failure = refund_failure(*payment);
  return {.record = Record{.verb = "refund",
                           .key = key,
                           .status = failure.empty() ? "succeeded" : "failed",
                           .payment = payment_id,
                           .amount = amount,
                           .currency = payment->currency,
                           .code = std::string{failure},
                           .at_ms = now_ms}};
}

Decision Book::withdraw(const std::string& key, std::int64_t now_ms) const {
  const Entry* known = find(key);
  Record record{.verb = "withdraw", .key = key, .status = "voided", .at_ms = now_ms};
  if (known == nullptr || known->kind == Entry::Kind::erred) return {.record = std::move(record)};
  const bool authorised =
      known->kind == Entry::Kind::payment && known->payment->status == PaymentStatus::authorised;
  if (!authorised) return {};
  record.payment = known->payment->id;
  return {.record = std::move(record)};
}

void Book::apply(const Record& record) {
  ++sequence_;
  if (record.verb == "pay") {
    apply_pay(record);
  } else if (record.verb == "capture") {
    apply_capture(record);
  } else if (record.verb == "refund") {
    apply_refund(record);
  } else if (record.verb == "withdraw") {
    apply_withdrawal(record);
  } else {
    require(record.verb == "error", "a journal holds known verbs only");
    by_key_[record.key] = {.kind = Entry::Kind::erred, .sequence = sequence_};
  }
}

const Entry* Book::find(const std::string& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &found->second;
}

const Payment* Book::find_payment(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void Book::apply_pay(const Record& record) {
  Payment& payment = payments_.emplace_back(Payment{
      .id = record.payment,
      .key = record.key,
      .token = record.token,
      .reference = record.reference,
      .currency = record.currency,
      .decline_code = record.code,
      .amount = record.amount,
      .status = parse_status(record.status),
      .capture_at_once = record.capture_at_once,
  });
  by_id_[payment.id] = &payment;
  by_key_[record.key] = {.kind = Entry::Kind::payment, .payment = &payment, .sequence = sequence_};
  if (payment.status != PaymentStatus::captured) return;
  payment.captured = payment.amount;
  add_line("capture", payment, record.key, payment.amount, record.at_ms);
}

void Book::apply_capture(const Record& record) {
  Payment& payment = *by_id_.at(record.payment);
  payment.status = PaymentStatus::captured;
  payment.captured = record.amount;
  by_key_[record.key] = {.kind = Entry::Kind::capture,
                         .payment = &payment,
                         .amount = record.amount,
                         .sequence = sequence_};
  add_line("capture", payment, record.key, record.amount, record.at_ms);
}

void Book::apply_refund(const Record& record) {
  Payment& payment = *by_id_.at(record.payment);
  by_key_[record.key] = {.kind = Entry::Kind::refund,
                         .payment = &payment,
                         .amount = record.amount,
                         .status = record.status,
                         .code = record.code,
                         .sequence = sequence_};
  if (record.status == "failed") {
    payment.refund_failed_before = true;
    return;
  }
  payment.refunded += record.amount;
  add_line("refund", payment, record.key, -record.amount, record.at_ms);
}

void Book::apply_withdrawal(const Record& record) {
  if (record.payment.empty()) {
    by_key_[record.key] = {.kind = Entry::Kind::withdrawn, .sequence = sequence_};
    return;
  }
  Payment& payment = *by_id_.at(record.payment);
  payment.status = PaymentStatus::voided;
  by_key_[record.key].sequence = sequence_;
  add_line("void", payment, record.key, 0, record.at_ms);
}

void Book::add_line(std::string_view kind, const Payment& payment, const std::string& key,
                    std::int64_t amount, std::int64_t at_ms) {
  statement_.push_back({.line = static_cast<std::int64_t>(statement_.size()) + 1,
                        .kind = std::string{kind},
                        .payment_id = payment.id,
                        .key = key,
                        .reference = payment.reference,
                        .amount = amount,
                        .currency = payment.currency,
                        .at_ms = at_ms});
}

}  // namespace stoa::simulator
