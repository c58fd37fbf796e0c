#include "services/user-service/domain/session.hpp"

#include <algorithm>
#include <utility>

namespace stoa::user {

std::string_view name(EndReason reason) {
  switch (reason) {
    case EndReason::logout:
      return "logout";
    case EndReason::logout_all:
      return "logout_all";
    case EndReason::token_reused:
      return "token_reused";
    case EndReason::password_changed:
      return "password_changed";
    case EndReason::erased:
      return "erased";
  }
  std::unreachable();
}

RefreshVerdict judge(const PresentedToken& token) {
  if (token.rotated) return RefreshVerdict::rotated;
  if (token.ended || token.expired) return RefreshVerdict::over;
  const bool twin = !token.successor_used && token.since_replaced <= refresh_grace;
  return twin ? RefreshVerdict::repeated : RefreshVerdict::reused;
}

std::chrono::seconds locked_for(const Failures& failures) {
  if (failures.count < failures_allowed || failures.since_last > failures_memory) {
    return std::chrono::seconds{0};
  }
  std::chrono::seconds lock = lock_min;
  for (std::int64_t extra = failures.count - failures_allowed; extra > 0 && lock < lock_max;
       --extra) {
    lock *= 2;
  }
  lock = std::min(lock, lock_max);
  if (failures.since_last >= lock) return std::chrono::seconds{0};
  return std::chrono::ceil<std::chrono::seconds>(lock - failures.since_last);
}

}  // namespace stoa::user
