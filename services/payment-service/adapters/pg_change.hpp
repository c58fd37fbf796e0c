#pragma once

#include <string>
#include <string_view>

#include "servicekit/postgres/database.hpp"

#include "services/payment-service/domain/payment.hpp"

// What the statements of this service share.
namespace stoa::payment {

/// A payment from the fifteen columns that every statement of ours returns first, in this order:
/// id, order_id, customer_id, amount_minor, currency, status, captured_minor, refunded_minor,
/// refund_pending_minor, decline_reason, closed_at IS NOT NULL, closing_failures, last_refund_id,
/// last_refund_minor, version.
inline constexpr int payment_columns = 15;
Payment read_payment(const postgres::Row& row);

/// A refund from id, payment_id, amount_minor, currency, status, closing, starting at `first`.
Refund read_refund(const postgres::Row& row, int first);

/// Locks the payment until the end of the transaction.
postgres::Query lock_payment(PaymentId id);

/// What caused a change, for the ledger and the events.
struct Cause {
  Uuid transaction;       ///< of the ledger: the attempt's or the refund's id
  std::string_view kind;  ///< capture, refund
  std::string provider_payment{};
  std::string traceparent{};
};

/// Carries a change out: payment, ledger, events, closing refund. One statement.
postgres::Query write_change(const Change& change, const Cause& cause);

}  // namespace stoa::payment
