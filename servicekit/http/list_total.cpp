#include "servicekit/http/list_total.hpp"

namespace stoa::http {

Result<bool> wants_total(const QueryString& query) {
  const auto wanted = query.text(include_total);
  if (!wanted) return false;
  if (*wanted == "estimate") return true;
  return refuse(ErrorKind::malformed, "bad_parameter", "include_total is 'estimate'");
}

}  // namespace stoa::http
