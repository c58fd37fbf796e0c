#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/error.hpp"
#include "servicekit/core/money.hpp"
#include "servicekit/core/type_id.hpp"

// The rules of money. Pure: no clock, no database, no JSON, no coroutines. A change is decided here
// from the payment as it stands under its lock, and carried out by the store as it is told.
namespace stoa::payment {

/// Of the order as a whole. `pending` while an attempt is open.
enum class PaymentStatus : std::uint8_t { pending, captured, declined, voided };

/// One request for the money. `unknown`: the provider was asked and its answer is not known.
enum class AttemptStatus : std::uint8_t { started, unknown, captured, declined, voided };

enum class RefundStatus : std::uint8_t { pending, unknown, succeeded, failed };

std::string_view name(PaymentStatus status);
std::string_view name(AttemptStatus status);
std::string_view name(RefundStatus status);
std::optional<PaymentStatus> parse_payment_status(std::string_view text);
std::optional<AttemptStatus> parse_attempt_status(std::string_view text);
std::optional<RefundStatus> parse_refund_status(std::string_view text);

inline bool open(AttemptStatus status) {
  return status == AttemptStatus::started || status == AttemptStatus::unknown;
}
inline bool open(RefundStatus status) {
  return status == RefundStatus::pending || status == RefundStatus::unknown;
}

/// Everything that is known of the money of one order. Exists for each order that was placed or
/// cancelled, for ever: an order that was closed first must never be charged later.
struct Payment {
  PaymentId id;
  OrderId order;
  UserId customer;
  std::optional<Money> amount{};  ///< empty: the order was closed before it was placed
  PaymentStatus status = PaymentStatus::pending;
  std::int64_t captured_minor = 0;
  std::int64_t refunded_minor = 0;
  std::int64_t pending_minor = 0;  ///< of refunds under way; counts against the cap
  std::string decline_reason{};
  bool closed = false;                    ///< the order was cancelled: nothing may stay captured
  int closing_failures = 0;               ///< closing refunds refused in a row
  std::optional<RefundId> last_refund{};  ///< the last that succeeded
  std::int64_t last_refund_minor = 0;
  std::int64_t version = 0;

  /// What may still be given back.
  std::int64_t refundable_minor() const { return captured_minor - refunded_minor - pending_minor; }
};

struct Refund {
  RefundId id;
  PaymentId payment;
  Money amount;
  RefundStatus status = RefundStatus::pending;
  bool closing = false;  ///< made because the order was cancelled, not by staff
};

/// The accounts of the ledger. Amounts are signed; a transaction sums to 0 in each currency.
enum class Account : std::uint8_t {
  provider_cash,      ///< what the provider holds for us; equals its statement line by line
  captured_payments,  ///< what customers paid
  refunded_payments,  ///< what customers got back
  settled_by_hand,    ///< refunds that an operator paid outside of the provider
  unexplained,        ///< captures at the provider that no order of ours explains
};
std::string_view name(Account account);

struct Entry {
  Account account;
  Money amount;

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A fact to publish.
struct Happening {
  enum class Kind : std::uint8_t { captured, declined, voided, refunded };
  Kind kind;
  std::string reason{};              ///< of declined
  std::optional<RefundId> refund{};  ///< of refunded
  std::int64_t amount_minor = 0;     ///< of captured and refunded
  bool closes_order = false;         ///< of refunded: nothing is captured any more

  friend bool operator==(const Happening&, const Happening&) = default;
};

/// A refund that must be made because the order is closed.
struct ClosingRefund {
  Money amount;
  std::chrono::milliseconds after{0};

  friend bool operator==(const ClosingRefund&, const ClosingRefund&) = default;
};

/// What a decision changes, all in one transaction.
struct Change {
  Payment payment;
  std::vector<Entry> entries{};
  std::vector<Happening> happenings{};
  std::optional<ClosingRefund> closing_refund{};
};

/// The provider's word on an attempt.
struct ChargeOutcome {
  enum class Kind : std::uint8_t { captured, declined, voided };
  Kind kind;
  std::string provider_payment{};  ///< its id, "" when nothing was ever made there
  std::string reason{};            ///< of declined
};

/// The provider's word on a refund.
struct RefundOutcome {
  enum class Kind : std::uint8_t { succeeded, failed };
  Kind kind;
  std::string failure{};  ///< of failed
};

/// The attempt's end. The payment must be pending.
Change settle_charge(Payment payment, const ChargeOutcome& outcome);

/// The order is cancelled: now, or whenever the money turns up, it goes back. Closing again tells
/// the end again, should there be one, so that a lost message is made good.
Change close(Payment payment);

/// Takes `amount` from what is left to refund, before the provider is asked.
///
/// Errors: payment_not_captured, refund_exceeds_captured (conflict); refund_currency (invalid).
Result<Change> request_refund(Payment payment, Money amount);

/// The refund's end at the provider; it must be open. A failure gives its amount back; of a closed
/// order another one follows, later each time (closing_backoff).
Change settle_refund(Payment payment, const Refund& refund, const RefundOutcome& outcome);

/// An operator paid it back outside of the provider, which will never do it (its key is void).
Change settle_refund_by_hand(Payment payment, const Refund& refund);

/// Pause before the closing refund that follows `failures` refused ones: 1 s doubling, at most
/// 5 min.
std::chrono::milliseconds closing_backoff(int failures);

/// Pause before the provider is asked again after `tries` questions without an answer: 250 ms
/// doubling, at most 5 s.
std::chrono::milliseconds question_backoff(int tries);

/// What order-service is told when it asks (GET /internal/v1/orders/{id}/payment).
std::string_view state_for_order(const Payment& payment);

/// What a customer sees as the payment's status.
std::string_view public_status(const Payment& payment);

}  // namespace stoa::payment
