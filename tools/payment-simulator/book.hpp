#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// What a payment provider remembers, as plain values: no clock, no file, no network. Every change
// is a Record; applying the records of the journal in order gives the same book again.
namespace stoa::simulator {

/// How a token behaves. Any other token is declined `invalid_token`.
enum class Behaviour : std::uint8_t {
  ok,
  declined,
  insufficient_funds,
  timeout_after_capture,  ///< captured, but the first caller gets no answer
  slow,                   ///< captured, answered late
  error_then_ok,          ///< the first request of a key is 500 and leaves nothing, then as ok
  needs_3ds,              ///< declined `authentication_required`
  refund_fails_once,
  refund_refused,
  refund_timeout,  ///< refunded, but the first caller gets no answer
  webhook_duplicate,
  webhook_late,
  webhook_reordered,
  invalid,
};
Behaviour behaviour_of(std::string_view token);

/// One line of the journal. A flat aggregate, so that one JSON reader and writer serve all verbs.
struct Record {
  std::string verb;              ///< error, pay, capture, refund, withdraw
  std::string key;               ///< the caller's idempotency key
  std::string status;            ///< what became of it; "" for an error
  std::string payment{};         ///< id; "" for error, and for a withdrawal of an unknown key
  std::int64_t amount = 0;       ///< minor units
  std::string currency{};        ///< ISO 4217
  std::string token{};           ///< of pay
  std::string reference{};       ///< the merchant's own, of pay
  std::string code{};            ///< why it was declined or failed
  bool capture_at_once = false;  ///< of pay
  std::int64_t at_ms = 0;        ///< Unix time
};

enum class PaymentStatus : std::uint8_t { authorised, captured, declined, voided };
std::string_view name(PaymentStatus status);

struct Payment {
  std::string id;
  std::string key;
  std::string token;
  std::string reference;
  std::string currency;
  std::string decline_code;
  std::int64_t amount = 0;
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  PaymentStatus status{};
  bool capture_at_once = false;
  bool refund_failed_before = false;
};

/// What the book knows under one idempotency key.
struct Entry {
  enum class Kind : std::uint8_t { erred, payment, capture, refund, withdrawn };
  Kind kind{};
  Payment* payment = nullptr;  ///< empty for erred and withdrawn
  std::int64_t amount = 0;     ///< of a capture or refund
  std::string status{};        ///< of a refund: succeeded, failed
  std::string code{};          ///< of a refund that failed
  std::uint64_t sequence = 0;  ///< of the last record that touched it: durable before it is told
};

/// One movement of the merchant's money at the provider.
struct StatementLine {
  std::int64_t line;  ///< 1, 2, … without a gap
  std::string kind;   ///< capture, refund, void
  std::string payment_id;
  std::string key;  ///< the idempotency key that caused it
  std::string reference;
  std::int64_t amount;  ///< signed, minor units: a refund is negative, a void 0
  std::string currency;
  std::int64_t at_ms;
};

struct PayRequest {
  std::string key;
  std::int64_t amount = 0;
  std::string currency;
  std::string token;
  std::string reference;
  bool capture = false;
};

/// Why a request changes nothing.
enum class Refusal : std::uint8_t {
  key_reused,  ///< the key came with another request before
  payment_unknown,
  not_capturable,  ///< not authorised, or more than was authorised
  not_refundable,  ///< nothing captured, or more than is left
};

/// The answer of a decision: a record to write first, or nothing to write.
struct Decision {
  std::optional<Record> record{};
  std::optional<Refusal> refusal{};
};

class Book {
 public:
  Book() = default;
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;

  /// Decides without changing anything. No record and no refusal: the key was answered before.
  Decision pay(const PayRequest& request, std::int64_t now_ms) const;
  Decision capture(const std::string& key, const std::string& payment_id,
                   std::optional<std::int64_t> amount, std::int64_t now_ms) const;
  Decision refund(const std::string& key, const std::string& payment_id, std::int64_t amount,
                  std::int64_t now_ms) const;
  /// Voids what the key authorised; an unknown key is withdrawn: nothing will ever happen under it.
  /// What was captured, declined or refunded stays as it is.
  Decision withdraw(const std::string& key, std::int64_t now_ms) const;

  /// Applies one record, new or replayed. Records count from 1.
  void apply(const Record& record);

  const Entry* find(const std::string& key) const;
  const Payment* find_payment(const std::string& id) const;
  const std::vector<StatementLine>& statement() const { return statement_; }
  std::uint64_t sequence() const { return sequence_; }

 private:
  void apply_pay(const Record& record);
  void apply_capture(const Record& record);
  void apply_refund(const Record& record);
  void apply_withdrawal(const Record& record);
  void add_line(std::string_view kind, const Payment& payment, const std::string& key,
                std::int64_t amount, std::int64_t at_ms);

  std::uint64_t sequence_ = 0;
  std::deque<Payment> payments_;  // a deque: entries point into it
  std::unordered_map<std::string, Payment*> by_id_;
  std::unordered_map<std::string, Entry> by_key_;
  std::vector<StatementLine> statement_;
};

}  // namespace stoa::simulator
