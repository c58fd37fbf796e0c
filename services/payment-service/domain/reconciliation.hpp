#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/money.hpp"
#include "servicekit/core/uuid.hpp"

// The provider's statement against our cash account. Pure.
namespace stoa::payment {

/// One movement at the provider; signed: a refund is negative, a void 0.
struct StatementLine {
  std::int64_t number = 0;
  std::string kind;  ///< capture, refund, void
  std::string provider_payment;
  std::string key;  ///< ours: the id of the attempt or refund
  Money amount;
};

/// One entry of our cash account.
struct CashEntry {
  Uuid transaction;
  Money amount;
};

struct Difference {
  enum class Kind : std::uint8_t {
    not_in_ledger,     ///< the provider moved money that we did not book
    not_in_statement,  ///< we booked money that the provider did not move
    other_amount,
    repeated,  ///< the provider moved it twice under one key
  };
  Kind kind;
  Uuid transaction;
  StatementLine line;  ///< of the provider; amount 0 when not in the statement
  std::int64_t booked_minor = 0;
};

/// The ledger transaction a line belongs to: the UUID inside the key when it is one of our ids,
/// else one made from its text.
Uuid transaction_of(const StatementLine& line,
                    const std::function<Uuid(std::string_view)>& name_based_uuid);

/// Every line must have its entry and every entry its line, with the same amount. Entries are
/// sorted by transaction; voids move nothing and are left out. Order of the answer: statement's,
/// then ledger's.
std::vector<Difference> compare(const std::vector<StatementLine>& lines,
                                const std::vector<CashEntry>& entries,
                                const std::function<Uuid(std::string_view)>& name_based_uuid);

/// For a person: one line of text.
std::string describe(const Difference& difference);

}  // namespace stoa::payment
