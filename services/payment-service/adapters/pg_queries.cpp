#include <algorithm>
#include <format>
#include <string>
#include <utility>
#include <vector>

#include "servicekit/runtime/crash_point.hpp"

#include "services/payment-service/adapters/pg_change.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"

// What is shown, and the provider's events.
namespace stoa::payment {
namespace {

using postgres::array;
using postgres::param;

// Before every id there is: a page without a position starts at the newest.
constexpr std::string_view newest = "ffffffff-ffff-ffff-ffff-ffffffffffff";
constexpr std::int64_t line_max = 32'767;

postgres::Query find_payment(PaymentId id, const Viewer& viewer) {
  return {
      .name = "payment.find",
      .read_only = true,
      .sql = R"sql(
        SELECT id, order_id, customer_id, amount_minor, currency, status, captured_minor,
               refunded_minor, refund_pending_minor, decline_reason, closed_at IS NOT NULL,
               closing_failures, last_refund_id, last_refund_minor, version,
               (extract(epoch FROM created_at) * 1000)::bigint,
               (extract(epoch FROM updated_at) * 1000)::bigint
        FROM payments
        WHERE id = $1 AND amount_minor IS NOT NULL AND ($2::boolean OR customer_id = $3)
      )sql",
      .params = {param(id.uuid), viewer.sees_all, param(viewer.user.uuid)},
  };
}

postgres::Query find_payment_of_order(OrderId order, const Viewer& viewer) {
  return {
      .name = "payment.find_by_order",
      .read_only = true,
      .sql = R"sql(
        SELECT id, order_id, customer_id, amount_minor, currency, status, captured_minor,
               refunded_minor, refund_pending_minor, decline_reason, closed_at IS NOT NULL,
               closing_failures, last_refund_id, last_refund_minor, version,
               (extract(epoch FROM created_at) * 1000)::bigint,
               (extract(epoch FROM updated_at) * 1000)::bigint
        FROM payments
        WHERE order_id = $1 AND amount_minor IS NOT NULL AND ($2::boolean OR customer_id = $3)
      )sql",
      .params = {param(order.uuid), viewer.sees_all, param(viewer.user.uuid)},
  };
}

postgres::Query state_of_order(OrderId order) {
  return {
      .name = "payment.state_of_order",
      .read_only = true,
      .sql = R"sql(
        SELECT id, order_id, customer_id, amount_minor, currency, status, captured_minor,
               refunded_minor, refund_pending_minor, decline_reason, closed_at IS NOT NULL,
               closing_failures, last_refund_id, last_refund_minor, version
        FROM payments WHERE order_id = $1
      )sql",
      .params = {param(order.uuid)},
  };
}

postgres::Query refunds_of(PaymentId id) {
  return {
      .name = "payment.refunds_of",
      .read_only = true,
      .sql = R"sql(
        SELECT id, payment_id, amount_minor, currency, status, closing, reason, failure,
               (extract(epoch FROM created_at) * 1000)::bigint
        FROM refunds WHERE payment_id = $1 ORDER BY id LIMIT $2
      )sql",
      .params = {param(id.uuid), static_cast<std::int64_t>(refunds_shown_max)},
  };
}

postgres::Query sum_accounts() {
  return {
      .name = "ledger.sum_accounts",
      .read_only = true,
      .sql = R"sql(
        SELECT a.code, a.kind, a.title, coalesce(e.currency, ''), coalesce(e.amount_minor, 0)
        FROM ledger_accounts a
        LEFT JOIN (SELECT account, currency, sum(amount_minor)::bigint AS amount_minor
                   FROM ledger_entries GROUP BY account, currency) e ON e.account = a.code
        ORDER BY a.code, e.currency
      )sql",
      .params = {},
  };
}

postgres::Query page_of_entries(const ListEntries& query) {
  const auto& before = query.before;
  return {
      .name = "ledger.page_of_entries",
      .read_only = true,
      .sql = R"sql(
        SELECT transaction_id, line, account, amount_minor, currency, kind, payment_id,
               (extract(epoch FROM created_at) * 1000)::bigint
        FROM ledger_entries
        WHERE (transaction_id, line) < ($1::uuid, $2::smallint) AND ($3 = '' OR account = $3)
        ORDER BY transaction_id DESC, line DESC LIMIT $4
      )sql",
      .params = {before ? param(before->transaction) : postgres::Param{std::string{newest}},
                 before ? std::int64_t{before->line} : line_max, query.account,
                 static_cast<std::int64_t>(query.limit + 1)},
  };
}

/// How many of the newest entries are of the account, and how many were looked at.
postgres::Query count_entries(const std::string& account) {
  static const std::string sql = std::format(
      "SELECT count(*) FILTER (WHERE $1 = '' OR account = $1), count(*) FROM"
      " (SELECT account FROM ledger_entries ORDER BY transaction_id DESC, line DESC LIMIT {})"
      " AS newest",
      list_count_limit);
  return {.name = "ledger.count_entries", .read_only = true, .sql = sql, .params = {account}};
}

ListTotal read_total(const postgres::Row& row) {
  return {.count = std::min(row.number(0), list_counted_max),
          .exact = ListTotal::of(row.number(1)).exact};
}

postgres::Query insert_provider_event(const ProviderEvent& event) {
  return {
      .name = "payment.insert_provider_event",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO provider_events (id, type, provider_key, body) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO NOTHING RETURNING id
      )sql",
      .params = {event.id, event.type, event.key, event.body},
  };
}

postgres::Query open_provider_events(std::size_t count_max) {
  return {
      .name = "payment.open_provider_events",
      .read_only = false,
      .sql = R"sql(
        WITH oldest AS MATERIALIZED (
          SELECT id FROM provider_events WHERE done_at IS NULL
          ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE provider_events e SET done_at = now() FROM oldest WHERE e.id = oldest.id
        RETURNING e.provider_key
      )sql",
      .params = {static_cast<std::int64_t>(count_max)},
  };
}

// An event is a hint and no more: it may be late, repeated or out of order. What has no outcome yet
// is asked about at once; the outcome itself always comes from the provider's status.
postgres::Query hurry_attempts(const std::vector<Uuid>& ids) {
  return {
      .name = "payment.hurry_attempts_by_key",
      .read_only = false,
      .sql = R"sql(
        UPDATE attempts SET due_at = now()
        WHERE id = ANY ($1::uuid[]) AND status IN ('started', 'unknown') AND due_at > now()
      )sql",
      .params = {array(ids)},
  };
}

postgres::Query hurry_refunds(const std::vector<Uuid>& ids) {
  return {
      .name = "payment.hurry_refunds_by_key",
      .read_only = false,
      .sql = R"sql(
        UPDATE refunds SET due_at = now()
        WHERE id = ANY ($1::uuid[]) AND status IN ('pending', 'unknown') AND due_at > now()
      )sql",
      .params = {array(ids)},
  };
}

LedgerEntry read_entry(const postgres::Row& row) {
  LedgerEntry entry{.transaction = row.uuid(0),
                    .line = static_cast<int>(row.number(1)),
                    .account = std::string{row.text(2)},
                    .amount_minor = row.number(3),
                    .currency = std::string{row.text(4)},
                    .kind = std::string{row.text(5)},
                    .payment = std::nullopt,
                    .created_at = row.instant(7)};
  if (!row.is_null(6)) entry.payment = PaymentId{row.uuid(6)};
  return entry;
}

EntryPage read_entries(const postgres::Rows& rows, std::size_t limit) {
  EntryPage page{.has_more = rows.size() > limit};
  for (const auto row : rows) {
    if (page.entries.size() == limit) break;
    page.entries.push_back(read_entry(row));
  }
  return page;
}

}  // namespace

Task<Result<PaymentView>> PgPaymentStore::find(Context context, PaymentId id, Viewer viewer) {
  auto rows = co_await database_.run(context, find_payment(id, viewer));
  auto view = co_await with_refunds(std::move(context), std::move(rows));
  if (!view) {
    co_return refuse(ErrorKind::not_found, "payment_not_found", "there is no such payment");
  }
  co_return std::move(*view);
}

Task<std::optional<PaymentView>> PgPaymentStore::find_by_order(Context context, OrderId order,
                                                               Viewer viewer) {
  auto rows = co_await database_.run(context, find_payment_of_order(order, viewer));
  auto view = co_await with_refunds(std::move(context), std::move(rows));
  co_return view;
}

Task<std::optional<PaymentView>> PgPaymentStore::with_refunds(Context context,
                                                              postgres::Rows rows) {
  if (rows.empty()) co_return std::nullopt;
  const auto row = rows.front();
  PaymentView view{.payment = read_payment(row),
                   .created_at = row.instant(payment_columns),
                   .updated_at = row.instant(payment_columns + 1)};
  const auto refunds = co_await database_.run(std::move(context), refunds_of(view.payment.id));
  for (const auto refund : refunds) {
    view.refunds.push_back({.refund = read_refund(refund, 0),
                            .reason = std::string{refund.text(6)},
                            .failure = std::string{refund.text(7)},
                            .created_at = refund.instant(8)});
  }
  co_return view;
}

Task<std::optional<Payment>> PgPaymentStore::payment_of_order(Context context, OrderId order) {
  const auto rows = co_await database_.run(std::move(context), state_of_order(order));
  if (rows.empty()) co_return std::nullopt;
  co_return read_payment(rows.front());
}

Task<std::vector<Balance>> PgPaymentStore::balances(Context context) {
  const auto rows = co_await database_.run(std::move(context), sum_accounts());
  std::vector<Balance> balances;
  for (const auto row : rows) {
    balances.push_back({.account = std::string{row.text(0)},
                        .kind = std::string{row.text(1)},
                        .title = std::string{row.text(2)},
                        .currency = std::string{row.text(3)},
                        .amount_minor = row.number(4)});
  }
  co_return balances;
}

Task<EntryPage> PgPaymentStore::entries(Context context, ListEntries query) {
  if (!query.with_total) {
    const auto rows = co_await database_.run(std::move(context), page_of_entries(query));
    co_return read_entries(rows, query.limit);
  }
  std::vector<postgres::Query> queries{page_of_entries(query), count_entries(query.account)};
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  EntryPage page = read_entries(results[0], query.limit);
  page.total = read_total(results[1].front());
  co_return page;
}

Task<bool> PgPaymentStore::store_provider_event(Context context, ProviderEvent event) {
  runtime::crash_point("payment.webhook.before_commit");
  const auto rows = co_await database_.run(std::move(context), insert_provider_event(event));
  runtime::crash_point("payment.webhook.after_commit");
  co_return !rows.empty();
}

Task<std::size_t> PgPaymentStore::act_on_provider_events(Context context, std::size_t count_max) {
  auto transaction = co_await database_.begin(std::move(context));
  const auto events = co_await transaction.run(open_provider_events(count_max));
  if (events.empty()) co_return 0;
  std::vector<Uuid> attempts;
  std::vector<Uuid> refunds;
  for (const auto row : events) {
    if (const auto attempt = AttemptId::parse(row.text(0))) attempts.push_back(attempt->uuid);
    if (const auto refund = RefundId::parse(row.text(0))) refunds.push_back(refund->uuid);
  }
  if (!attempts.empty()) co_await transaction.run(hurry_attempts(attempts));
  if (!refunds.empty()) co_await transaction.run(hurry_refunds(refunds));
  runtime::crash_point("payment.webhook_effect.before_commit");
  co_await transaction.commit();
  runtime::crash_point("payment.webhook_effect.after_commit");
  co_return events.size();
}

}  // namespace stoa::payment
