#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"
#include "servicekit/core/secret.hpp"

#include "services/payment-service/app/ports.hpp"

namespace stoa::payment {

/// Opaque positions in the list of ledger entries, signed and bound to the list's filters.
class Cursors {
 public:
  explicit Cursors(Secret<> key) : key_{std::move(key)} {}

  std::string write(const LedgerPosition& position, std::string_view filters) const;

  /// Errors: bad_cursor (malformed): not ours, changed, or of a list with other filters.
  Result<LedgerPosition> read(std::string_view cursor, std::string_view filters) const;

 private:
  std::string signature(std::string_view position, std::string_view filters) const;

  Secret<> key_;
};

}  // namespace stoa::payment
