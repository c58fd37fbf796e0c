#include "services/user-service/domain/signing_key.hpp"

namespace stoa::user {

std::size_t signing_key(const std::vector<Instant>& signs_from, Instant now) {
  for (std::size_t i = signs_from.size(); i > 0; --i) {
    if (signs_from[i - 1] <= now) return i - 1;
  }
  return 0;
}

bool is_published(const std::vector<Instant>& signs_from, std::size_t index, Instant now) {
  const std::size_t signing = signing_key(signs_from, now);
  if (index >= signing) return true;
  // The next one that took over decides when the last token of this one died.
  return signs_from[index + 1] + key_overlap > now;
}

}  // namespace stoa::user
