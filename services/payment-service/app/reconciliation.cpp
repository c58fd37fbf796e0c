#include "services/payment-service/app/reconciliation.hpp"

#include <algorithm>
#include <utility>

namespace stoa::payment {
namespace {

constexpr std::size_t entries_page = 5'000;

Context within(std::chrono::milliseconds timeout) {
  const Context context;
  return context.within(timeout);
}

}  // namespace

Task<ReconcileReport> Reconciliation::run(Options options) {
  // The statement first: what is booked while the ledger is being read is then at worst not yet in
  // it, and such an entry is looked for again below.
  const auto lines = co_await read_statement(options.page_timeout);
  const auto entries = co_await read_book(options.page_timeout);
  ReconcileReport report{.lines = lines.size(), .entries = entries.size()};
  report.differences = compare(lines, entries, name_based_uuid_);
  const std::int64_t last_line = lines.empty() ? 0 : lines.back().number;
  report = co_await without_movement(std::move(report), last_line, options.page_timeout);
  if (!options.repair) co_return report;

  for (const Difference& difference : report.differences) {
    const bool repaired = co_await repair(difference, options.page_timeout);
    if (repaired) ++report.repaired;
  }
  co_return report;
}

Task<std::vector<StatementLine>> Reconciliation::read_statement(std::chrono::milliseconds timeout) {
  std::vector<StatementLine> lines;
  bool more = true;
  while (more) {
    const std::int64_t after = lines.empty() ? 0 : lines.back().number;
    StatementPage page = co_await statement_.page(within(timeout), after);
    more = page.has_more && !page.lines.empty();
    std::ranges::move(page.lines, std::back_inserter(lines));
  }
  co_return lines;
}

Task<std::vector<CashEntry>> Reconciliation::read_book(std::chrono::milliseconds timeout) {
  std::vector<CashEntry> entries;
  bool more = true;
  while (more) {
    const Uuid after = entries.empty() ? Uuid{} : entries.back().transaction;
    auto page = co_await book_.cash_entries(within(timeout), after, entries_page);
    more = page.size() == entries_page;
    std::ranges::move(page, std::back_inserter(entries));
  }
  co_return entries;
}

// The shop goes on while we read: what the provider has done for an attempt that is still open is
// on its way to the ledger, and what was booked after the statement was read is on its later pages.
Task<ReconcileReport> Reconciliation::without_movement(ReconcileReport report,
                                                       std::int64_t last_line,
                                                       std::chrono::milliseconds timeout) {
  std::vector<Uuid> suspects;
  suspects.reserve(report.differences.size());
  for (const Difference& difference : report.differences) {
    suspects.push_back(difference.transaction);
  }
  const auto accounted = co_await book_.accounted_for(within(timeout), std::move(suspects));
  std::vector<StatementLine> later;
  bool more = !report.differences.empty();
  while (more) {
    StatementPage page = co_await statement_.page(within(timeout), last_line);
    more = page.has_more && !page.lines.empty();
    if (!page.lines.empty()) last_line = page.lines.back().number;
    std::ranges::move(page.lines, std::back_inserter(later));
  }
  const auto told_later = [&](const Difference& difference) {
    return difference.kind == Difference::Kind::not_in_statement &&
           std::ranges::any_of(later, [&](const StatementLine& line) {
             return transaction_of(line, name_based_uuid_) == difference.transaction &&
                    line.amount.minor_units() == difference.booked_minor;
           });
  };
  const auto settles_itself = [&](const Difference& difference) {
    const bool in_flight = difference.kind == Difference::Kind::not_in_ledger &&
                           std::ranges::contains(accounted, difference.transaction);
    return in_flight || told_later(difference);
  };
  report.in_flight = std::erase_if(report.differences, settles_itself);
  co_return report;
}

// Only a whole capture that nothing of ours explains: anything else is for a person to judge. The
// refund's key follows from the capture's, so that a repeat after a crash is the same refund.
Task<bool> Reconciliation::repair(Difference difference, std::chrono::milliseconds timeout) {
  const bool unexplained_capture =
      difference.kind == Difference::Kind::not_in_ledger && difference.line.kind == "capture";
  if (!unexplained_capture) co_return false;
  const RefundId refund{name_based_uuid_("repair " + difference.line.key)};
  const bool refunded =
      co_await statement_.refund_unexplained(within(timeout), difference.line, refund);
  if (!refunded) co_return false;
  co_await book_.book_unexplained(within(timeout), difference.line, difference.transaction,
                                  refund.uuid);
  co_return true;
}

}  // namespace stoa::payment
