#include <string>
#include <utility>
#include <vector>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/postgres/idempotency.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/payment-service/adapters/pg_change.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"

// Cancelled orders and the way back of the money. Every change happens under the payment's lock, by
// the rules of domain/.
namespace stoa::payment {
namespace {

using postgres::param;

constexpr std::string_view cancel_consumer = "payment-service.order-cancel-requested";

postgres::Query claim_event(const Uuid& event) {
  return {
      .name = "payment.claim_cancel_event",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)
        ON CONFLICT DO NOTHING RETURNING event_id
      )sql",
      .params = {std::string{cancel_consumer}, param(event)},
  };
}

// Locks the order's row or makes it: from here on an order.placed finds it and starts nothing.
postgres::Query close_row(const Cancellation& cancellation) {
  return {
      .name = "payment.close_row",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO payments (id, order_id, customer_id, status, closed_at)
        VALUES ($1, $2, $3, 'voided', now())
        ON CONFLICT (order_id) DO UPDATE SET closed_at = coalesce(payments.closed_at, now())
        RETURNING id, order_id, customer_id, amount_minor, currency, status, captured_minor,
                  refunded_minor, refund_pending_minor, decline_reason, closed_at IS NOT NULL,
                  closing_failures, last_refund_id, last_refund_minor, version
      )sql",
      .params = {param(cancellation.spare_payment.uuid), param(cancellation.order.uuid),
                 param(cancellation.customer.uuid)},
  };
}

// The attempt without an answer is asked for now; one that is on its way keeps its lease.
postgres::Query hurry_attempt(OrderId order) {
  return {
      .name = "payment.hurry_attempt",
      .read_only = false,
      .sql = R"sql(
        UPDATE attempts SET due_at = now() WHERE order_id = $1 AND status = 'unknown'
      )sql",
      .params = {param(order.uuid)},
  };
}

postgres::Query insert_refund(const RefundRequest& request) {
  return {
      .name = "payment.insert_refund",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO refunds (id, payment_id, amount_minor, currency, status, closing, reason,
                             requested_by, due_at, traceparent)
        VALUES ($1, $2, $3, $4, 'pending', false, $5, $6, now(), $7)
      )sql",
      .params = {param(request.id.uuid), param(request.payment.uuid), request.amount.minor_units(),
                 std::string{request.amount.currency().code()}, request.reason,
                 request.requested_by, request.traceparent},
  };
}

postgres::Query claim_due_refunds(std::size_t count_max, std::chrono::milliseconds lease) {
  return {
      .name = "payment.claim_due_refunds",
      .read_only = false,
      .sql = R"sql(
        WITH due AS MATERIALIZED (
          SELECT id FROM refunds
          WHERE status IN ('pending', 'unknown') AND due_at <= now()
          ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE refunds r
        SET due_at = now() + $2::bigint * interval '1 ms', tries = r.tries + 1
        FROM due, payments p
        WHERE r.id = due.id AND p.id = r.payment_id
        RETURNING r.id, r.payment_id, r.amount_minor, r.currency, r.status, r.closing, p.order_id,
                  p.provider_payment_id, r.traceparent, r.tries
      )sql",
      .params = {static_cast<std::int64_t>(count_max), std::int64_t{lease.count()}},
  };
}

postgres::Query claim_one_refund(RefundId id, std::chrono::milliseconds lease) {
  return {
      .name = "payment.claim_one_refund",
      .read_only = false,
      .sql = R"sql(
        UPDATE refunds r
        SET due_at = now() + $2::bigint * interval '1 ms', tries = r.tries + 1
        FROM payments p
        WHERE r.id = $1 AND r.status IN ('pending', 'unknown') AND p.id = r.payment_id
        RETURNING r.id, r.payment_id, r.amount_minor, r.currency, r.status, r.closing, p.order_id,
                  p.provider_payment_id, r.traceparent, r.tries
      )sql",
      .params = {param(id.uuid), std::int64_t{lease.count()}},
  };
}

postgres::Query end_refund(RefundId id, RefundStatus status, std::string failure) {
  return {
      .name = "payment.end_refund",
      .read_only = false,
      .sql = R"sql(
        UPDATE refunds SET status = $2, failure = $3, ended_at = now()
        WHERE id = $1 AND status IN ('pending', 'unknown')
        RETURNING id
      )sql",
      .params = {param(id.uuid), std::string{name(status)}, std::move(failure)},
  };
}

postgres::Query postpone(RefundId id, std::chrono::milliseconds retry_in) {
  return {
      .name = "payment.postpone_refund",
      .read_only = false,
      .sql = R"sql(
        UPDATE refunds SET status = 'unknown', due_at = now() + $2::bigint * interval '1 ms'
        WHERE id = $1 AND status IN ('pending', 'unknown')
      )sql",
      .params = {param(id.uuid), std::int64_t{retry_in.count()}},
  };
}

// A first claim is the only one that cannot have been sent: the provider is asked before any other.
RefundCall read_call(const postgres::Row& row) {
  const int tries = static_cast<int>(row.number(9));
  return {.refund = read_refund(row, 0),
          .order = {row.uuid(6)},
          .provider_payment = std::string{row.text(7)},
          .traceparent = std::string{row.text(8)},
          .sent_before = tries > 1,
          .tries = tries - 1};
}

/// What asking for it makes of the payment.
Result<Change> asked_for(Payment payment, Money amount) {
  if (runtime::mutant<"payment.refund_without_cap">()) {
    payment.pending_minor += amount.minor_units();
    return Change{.payment = std::move(payment)};
  }
  return payment::request_refund(std::move(payment), amount);
}

postgres::IdempotencyKey kit_key(const RequestKey& key) {
  return {.origin = key.origin, .caller = key.caller, .fingerprint = key.fingerprint};
}

}  // namespace

Task<bool> PgPaymentStore::close_order(Context context, Cancellation cancellation) {
  auto transaction = co_await database_.begin(std::move(context));
  const auto fresh = co_await transaction.run(claim_event(cancellation.event));
  if (fresh.empty()) co_return false;
  const auto rows = co_await transaction.run(close_row(cancellation));

  const Change change = close(read_payment(rows.front()));
  const Cause cause{
      .transaction = cancellation.event, .kind = "refund", .traceparent = cancellation.traceparent};
  co_await transaction.run(write_change(change, cause));
  const bool waits = change.payment.status == PaymentStatus::pending;
  if (waits) co_await transaction.run(hurry_attempt(change.payment.order));
  runtime::crash_point("payment.close.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.close.after_commit");
  if (!change.happenings.empty()) told_();
  co_return change.closing_refund.has_value();
}

Task<Result<Answer>> PgPaymentStore::request_refund(Context context, RefundRequest request,
                                                    RequestKey key, Answer answer) {
  const postgres::IdempotencyKey row_key = kit_key(key);
  auto transaction = co_await database_.begin(context);
  const postgres::StoredAnswer stored{
      .status = answer.status, .headers = answer.headers, .body = answer.body};
  const auto first = co_await transaction.run(insert_idempotency_key(row_key, stored));
  if (first.empty()) {
    const auto rows = co_await transaction.run(find_idempotency_key(row_key));
    auto before = postgres::stored_answer(rows, row_key);
    if (!before) co_return std::unexpected(before.error());
    if (!*before) throw Unavailable{"the idempotency key expired this very moment"};
    co_return Answer{.status = (*before)->status,
                     .headers = (*before)->headers,
                     .body = (*before)->body,
                     .replayed = true};
  }
  const auto locked = co_await transaction.run(lock_payment(request.payment));
  if (locked.empty()) {
    co_return refuse(ErrorKind::not_found, "payment_not_found", "there is no such payment");
  }
  const auto change = asked_for(read_payment(locked.front()), request.amount);
  if (!change) co_return std::unexpected(change.error());
  const Cause cause{.transaction = request.id.uuid, .kind = "refund"};
  co_await transaction.run(write_change(*change, cause));
  co_await transaction.run(insert_refund(request));
  runtime::crash_point("payment.refund_request.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.refund_request.after_commit");
  co_return answer;
}

Task<std::vector<RefundCall>> PgPaymentStore::claim_refunds(Context context, std::size_t count_max,
                                                            std::chrono::milliseconds lease) {
  const auto rows = co_await database_.run(std::move(context), claim_due_refunds(count_max, lease));
  std::vector<RefundCall> calls;
  for (const auto row : rows) calls.push_back(read_call(row));
  co_return calls;
}

Task<std::optional<RefundCall>> PgPaymentStore::claim_refund(Context context, RefundId id,
                                                             std::chrono::milliseconds lease) {
  const auto rows = co_await database_.run(std::move(context), claim_one_refund(id, lease));
  if (rows.empty()) co_return std::nullopt;
  co_return read_call(rows.front());
}

Task<bool> PgPaymentStore::record_refund(Context context, RefundCall call, RefundOutcome outcome) {
  auto transaction = co_await database_.begin(std::move(context));
  const auto locked = co_await transaction.run(lock_payment(call.refund.payment));
  const bool succeeded = outcome.kind == RefundOutcome::Kind::succeeded;
  const auto ended = co_await transaction.run(end_refund(
      call.refund.id, succeeded ? RefundStatus::succeeded : RefundStatus::failed, outcome.failure));
  if (ended.empty()) co_return false;

  const Change change = settle_refund(read_payment(locked.front()), call.refund, outcome);
  const Cause cause{
      .transaction = call.refund.id.uuid, .kind = "refund", .traceparent = call.traceparent};
  co_await transaction.run(write_change(change, cause));
  runtime::crash_point("payment.refund.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.refund.after_commit");
  if (!change.happenings.empty()) told_();
  const std::string id = call.refund.id.str();
  if (succeeded) {
    telemetry_.info("refund_succeeded", {{"refund_id", id}});
  } else {
    telemetry_.warn(
        "refund_failed",
        {{"refund_id", id}, {"reason", outcome.failure}, {"closing", call.refund.closing}});
  }
  co_return change.closing_refund.has_value();
}

Task<bool> PgPaymentStore::record_refund_by_hand(Context context, RefundCall call,
                                                 std::string note) {
  auto transaction = co_await database_.begin(std::move(context));
  const auto locked = co_await transaction.run(lock_payment(call.refund.payment));
  const auto ended = co_await transaction.run(
      end_refund(call.refund.id, RefundStatus::succeeded, "settled by hand: " + note));
  if (ended.empty()) co_return false;
  const Change change = settle_refund_by_hand(read_payment(locked.front()), call.refund);
  const Cause cause{
      .transaction = call.refund.id.uuid, .kind = "refund", .traceparent = call.traceparent};
  co_await transaction.run(write_change(change, cause));
  runtime::crash_point("payment.refund_by_hand.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.refund_by_hand.after_commit");
  told_();
  co_return true;
}

Task<> PgPaymentStore::postpone_refund(Context context, RefundId id,
                                       std::chrono::milliseconds retry_in) {
  runtime::crash_point("payment.postpone_refund.before_commit");
  co_await database_.run(std::move(context), postpone(id, retry_in));
  runtime::crash_point("payment.postpone_refund.after_commit");
}

}  // namespace stoa::payment
