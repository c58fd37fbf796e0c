#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "servicekit/core/secret.hpp"

#include "services/product-service/app/ports.hpp"

namespace stoa::product {

/// Page ends as clients carry them: opaque, and signed together with what they are a page of, so
/// that nobody makes one up or takes it to another list. The key must be the same on every replica.
class Cursors {
 public:
  explicit Cursors(Secret<> key) : key_{std::move(key)} {}

  /// `list` names sort and filters.
  std::string sign(std::string_view list, const PageEnd& end) const;
  /// Errors: bad_cursor (malformed): not ours, or of another list.
  Result<PageEnd> verify(std::string_view list, std::string_view cursor) const;

 private:
  std::string mac(std::string_view list, std::string_view payload) const;

  Secret<> key_;
};

/// The request's target with `cursor` instead of the one it has, for `Link: …; rel="next"`.
std::string next_target(std::string_view path, std::string_view query, std::string_view cursor);

}  // namespace stoa::product
