#include "services/payment-service/domain/reconciliation.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/core/type_id.hpp"

namespace stoa::payment {
namespace {

Difference missing_line(const CashEntry& entry) {
  return {.kind = Difference::Kind::not_in_statement,
          .transaction = entry.transaction,
          .line = {.number = 0,
                   .kind = "",
                   .provider_payment = "",
                   .key = "",
                   .amount = Money{0, entry.amount.currency()}},
          .booked_minor = entry.amount.minor_units()};
}

std::string signed_amount(std::int64_t minor, Currency currency) {
  return std::format("{} {}", Money{minor, currency}.decimal(), currency.code());
}

}  // namespace

Uuid transaction_of(const StatementLine& line,
                    const std::function<Uuid(std::string_view)>& name_based_uuid) {
  if (const auto attempt = AttemptId::parse(line.key)) return attempt->uuid;
  if (const auto refund = RefundId::parse(line.key)) return refund->uuid;
  return name_based_uuid(line.key);
}

std::vector<Difference> compare(const std::vector<StatementLine>& lines,
                                const std::vector<CashEntry>& entries,
                                const std::function<Uuid(std::string_view)>& name_based_uuid) {
  require(std::ranges::is_sorted(entries, {}, &CashEntry::transaction),
          "entries come in the order of their transactions");
  std::vector<Difference> differences;
  std::vector<bool> explained(entries.size(), false);
  for (const StatementLine& line : lines) {
    if (line.amount.minor_units() == 0) continue;
    const Uuid transaction = transaction_of(line, name_based_uuid);
    const auto found = std::ranges::lower_bound(entries, transaction, {}, &CashEntry::transaction);
    const bool booked = found != entries.end() && found->transaction == transaction;
    const auto index = static_cast<std::size_t>(found - entries.begin());
    if (!booked || explained[index]) {
      differences.push_back(
          {.kind = booked ? Difference::Kind::repeated : Difference::Kind::not_in_ledger,
           .transaction = transaction,
           .line = line});
      continue;
    }
    explained[index] = true;
    if (found->amount == line.amount) continue;
    differences.push_back({.kind = Difference::Kind::other_amount,
                           .transaction = transaction,
                           .line = line,
                           .booked_minor = found->amount.minor_units()});
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!explained[i]) differences.push_back(missing_line(entries[i]));
  }
  return differences;
}

std::string describe(const Difference& difference) {
  const Currency currency = difference.line.amount.currency();
  const std::string told = signed_amount(difference.line.amount.minor_units(), currency);
  const std::string booked = signed_amount(difference.booked_minor, currency);
  switch (difference.kind) {
    case Difference::Kind::not_in_ledger:
      return std::format("line {} ({} {} of {}, key {}): not in our ledger", difference.line.number,
                         difference.line.kind, told, difference.line.provider_payment,
                         difference.line.key);
    case Difference::Kind::repeated:
      return std::format("line {} ({} {}, key {}): a second line of its key",
                         difference.line.number, difference.line.kind, told, difference.line.key);
    case Difference::Kind::not_in_statement:
      return std::format("transaction {} ({}): not in the provider's statement",
                         difference.transaction.str(), booked);
    case Difference::Kind::other_amount:
      return std::format("line {} (key {}): the provider says {}, our ledger {}",
                         difference.line.number, difference.line.key, told, booked);
  }
  std::unreachable();
}

}  // namespace stoa::payment
