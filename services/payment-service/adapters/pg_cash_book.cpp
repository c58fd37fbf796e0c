#include "services/payment-service/adapters/pg_cash_book.hpp"

#include <string>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/runtime/crash_point.hpp"

namespace stoa::payment {
namespace {

using postgres::array;
using postgres::param;

postgres::Query page_of_cash(const Uuid& after, std::size_t count_max) {
  return {
      .name = "ledger.page_of_cash",
      .read_only = true,
      .sql = R"sql(
        SELECT transaction_id, amount_minor, currency FROM ledger_entries
        WHERE transaction_id > $1 AND account = 'provider_cash'
        ORDER BY transaction_id, line LIMIT $2
      )sql",
      .params = {param(after), static_cast<std::int64_t>(count_max)},
  };
}

postgres::Query find_accounted(const std::vector<Uuid>& transactions) {
  return {
      .name = "ledger.find_accounted",
      .read_only = true,
      .sql = R"sql(
        SELECT id FROM attempts WHERE id = ANY ($1::uuid[]) AND status IN ('started', 'unknown')
        UNION
        SELECT id FROM refunds WHERE id = ANY ($1::uuid[]) AND status IN ('pending', 'unknown')
        UNION
        SELECT transaction_id FROM ledger_entries
        WHERE transaction_id = ANY ($1::uuid[]) AND account = 'provider_cash'
      )sql",
      .params = {array(transactions)},
  };
}

// Both at once: the capture that nothing explains and the refund that undid it. Their accounts end
// where they began, and every line of the statement has its entry.
postgres::Query book_both(const StatementLine& line, const Uuid& capture, const Uuid& refund) {
  return {
      .name = "ledger.book_unexplained",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind)
        VALUES ($1, 1, 'provider_cash', $3::bigint, $4, 'correction'),
               ($1, 2, 'unexplained', -$3::bigint, $4, 'correction'),
               ($2, 1, 'provider_cash', -$3::bigint, $4, 'correction'),
               ($2, 2, 'unexplained', $3::bigint, $4, 'correction')
        ON CONFLICT (transaction_id, line) DO NOTHING
      )sql",
      .params = {param(capture), param(refund), line.amount.minor_units(),
                 std::string{line.amount.currency().code()}},
  };
}

}  // namespace

Task<std::vector<CashEntry>> PgCashBook::cash_entries(Context context, Uuid after,
                                                      std::size_t count_max) {
  const auto rows = co_await database_.run(std::move(context), page_of_cash(after, count_max));
  std::vector<CashEntry> entries;
  entries.reserve(rows.size());
  for (const auto row : rows) {
    const auto currency = Currency::parse(row.text(2));
    require(currency.has_value(), "the ledger holds ISO 4217 currencies only");
    entries.push_back({.transaction = row.uuid(0), .amount = Money{row.number(1), *currency}});
  }
  co_return entries;
}

Task<std::vector<Uuid>> PgCashBook::accounted_for(Context context, std::vector<Uuid> transactions) {
  const auto rows = co_await database_.run(std::move(context), find_accounted(transactions));
  std::vector<Uuid> found;
  for (const auto row : rows) found.push_back(row.uuid(0));
  co_return found;
}

Task<> PgCashBook::book_unexplained(Context context, StatementLine line, Uuid capture,
                                    Uuid refund) {
  runtime::crash_point("payment.repair.before_commit");
  co_await database_.run(std::move(context), book_both(line, capture, refund));
  runtime::crash_point("payment.repair.after_commit");
}

}  // namespace stoa::payment
