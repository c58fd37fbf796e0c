#pragma once

#include <string>
#include <string_view>

#include "servicekit/core/error.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/type_id.hpp"

namespace stoa::order {

/// Makes and reads the cursors of list answers: opaque, signed, and bound to the list they come
/// from. Every replica has the same key, so each accepts the others'.
class Cursors {
 public:
  explicit Cursors(Secret<> key) : key_{std::move(key)} {}

  /// `list` names caller, filters and sort in one fixed form.
  std::string after(OrderId last, std::string_view list) const;

  /// Errors: bad_cursor (malformed): not made here, or for another list.
  Result<OrderId> read(std::string_view cursor, std::string_view list) const;

 private:
  std::string signature(const Uuid& last, std::string_view list) const;

  Secret<> key_;
};

}  // namespace stoa::order
