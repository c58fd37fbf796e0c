#include "services/payment-service/adapters/pg_change.hpp"

#include <optional>
#include <vector>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"

#include "services/payment-service/adapters/payment_events.hpp"

namespace stoa::payment {
namespace {

using postgres::array;
using postgres::param;

Money read_money(std::int64_t minor, std::string_view code) {
  const auto currency = Currency::parse(code);
  require(currency.has_value(), "the database holds ISO 4217 currencies only");
  return {minor, *currency};
}

struct EntryColumns {
  std::vector<std::string> accounts;
  std::vector<std::int64_t> amounts;
};

EntryColumns entry_columns(const Change& change) {
  EntryColumns columns;
  for (const Entry& entry : change.entries) {
    columns.accounts.emplace_back(name(entry.account));
    columns.amounts.push_back(entry.amount.minor_units());
  }
  return columns;
}

struct EventColumns {
  std::vector<Uuid> ids;
  std::vector<std::string> types;
  std::vector<std::string> data;
};

EventColumns event_columns(const Change& change) {
  EventColumns columns;
  for (const Happening& happening : change.happenings) {
    OutgoingEvent event = event_of(change.payment, happening);
    columns.ids.push_back(crypto::new_uuid());
    columns.types.emplace_back(event.type);
    columns.data.push_back(std::move(event.data));
  }
  return columns;
}

}  // namespace

Payment read_payment(const postgres::Row& row) {
  const auto status = parse_payment_status(row.text(5));
  require(status.has_value(), "the database holds known payment statuses only");
  Payment payment{.id = {row.uuid(0)},
                  .order = {row.uuid(1)},
                  .customer = {row.uuid(2)},
                  .amount = std::nullopt,
                  .status = *status,
                  .captured_minor = row.number(6),
                  .refunded_minor = row.number(7),
                  .pending_minor = row.number(8),
                  .decline_reason = std::string{row.text(9)},
                  .closed = row.flag(10),
                  .closing_failures = static_cast<int>(row.number(11)),
                  .last_refund_minor = row.number(13),
                  .version = row.number(14)};
  if (!row.is_null(3)) payment.amount = read_money(row.number(3), row.text(4));
  if (!row.is_null(12)) payment.last_refund = RefundId{row.uuid(12)};
  return payment;
}

Refund read_refund(const postgres::Row& row, int first) {
  const auto status = parse_refund_status(row.text(first + 4));
  require(status.has_value(), "the database holds known refund statuses only");
  return {.id = {row.uuid(first)},
          .payment = {row.uuid(first + 1)},
          .amount = read_money(row.number(first + 2), row.text(first + 3)),
          .status = *status,
          .closing = row.flag(first + 5)};
}

postgres::Query lock_payment(PaymentId id) {
  return {
      .name = "payment.lock",
      .read_only = false,
      .sql = R"sql(
        SELECT id, order_id, customer_id, amount_minor, currency, status, captured_minor,
               refunded_minor, refund_pending_minor, decline_reason, closed_at IS NOT NULL,
               closing_failures, last_refund_id, last_refund_minor, version
        FROM payments WHERE id = $1 FOR UPDATE
      )sql",
      .params = {param(id.uuid)},
  };
}

postgres::Query write_change(const Change& change, const Cause& cause) {
  const Payment& payment = change.payment;
  const EntryColumns entries = entry_columns(change);
  const EventColumns events = event_columns(change);
  const std::optional<ClosingRefund>& closing = change.closing_refund;
  const std::string currency{payment.amount ? payment.amount->currency().code() : ""};
  return {
      .name = "payment.write_change",
      .read_only = false,
      .sql = R"sql(
        WITH moved AS (
          UPDATE payments
          SET status = $2, captured_minor = $3, refunded_minor = $4, refund_pending_minor = $5,
              decline_reason = $6,
              closed_at = CASE WHEN $7::boolean THEN coalesce(closed_at, now()) END,
              closing_failures = $8, last_refund_id = $9, last_refund_minor = $10,
              provider_payment_id = coalesce(nullif($11, ''), provider_payment_id),
              version = version + 1, updated_at = now()
          WHERE id = $1
          RETURNING version
        ), booked AS (
          INSERT INTO ledger_entries
            (transaction_id, line, account, amount_minor, currency, kind, payment_id)
          SELECT $12, e.line, e.account, e.amount, $13, $14, $1
          FROM unnest($15::text[], $16::bigint[]) WITH ORDINALITY AS e (account, amount, line)
        ), told AS (
          INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
          SELECT o.id, o.type, $17, moved.version, o.data::jsonb, nullif($18, '')
          FROM moved, unnest($19::uuid[], $20::text[], $21::text[]) AS o (id, type, data)
        ), following AS (
          INSERT INTO refunds (id, payment_id, amount_minor, currency, status, closing, reason,
                               requested_by, due_at, traceparent)
          SELECT $22::uuid, $1, $23, $13, 'pending', true, 'order_cancelled', 'payment-service',
                 now() + $24::bigint * interval '1 ms', $18
          WHERE $22::uuid IS NOT NULL
        )
        SELECT version FROM moved
      )sql",
      .params = {param(payment.id.uuid),
                 std::string{name(payment.status)},
                 payment.captured_minor,
                 payment.refunded_minor,
                 payment.pending_minor,
                 payment.decline_reason,
                 payment.closed,
                 std::int64_t{payment.closing_failures},
                 payment.last_refund ? param(payment.last_refund->uuid) : nullptr,
                 payment.last_refund_minor,
                 cause.provider_payment,
                 param(cause.transaction),
                 currency,
                 std::string{cause.kind},
                 array(entries.accounts),
                 array(entries.amounts),
                 payment.order.str(),
                 cause.traceparent,
                 array(events.ids),
                 array(events.types),
                 array(events.data),
                 closing ? param(crypto::new_uuid()) : nullptr,
                 closing ? closing->amount.minor_units() : std::int64_t{0},
                 closing ? std::int64_t{closing->after.count()} : std::int64_t{0}},
  };
}

}  // namespace stoa::payment
