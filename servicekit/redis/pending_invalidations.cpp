#include "servicekit/redis/pending_invalidations.hpp"

#include <utility>

namespace stoa::redis::detail {

PendingInvalidations::Batch PendingInvalidations::mark(std::vector<std::string> keys) {
  const std::scoped_lock lock{mutex_};
  ++generation_;
  for (const std::string& key : keys) {
    if (keys_.size() >= keys_max && !keys_.contains(key)) {
      overflowed_at_ = generation_;
      continue;
    }
    keys_[key] = generation_;
  }
  busy_ = true;
  return {.generation = generation_, .everything = false, .keys = std::move(keys)};
}

PendingInvalidations::Batch PendingInvalidations::all() {
  const std::scoped_lock lock{mutex_};
  Batch batch{.generation = generation_, .everything = overflowed_at_ != 0, .keys = {}};
  for (const auto& [key, generation] : keys_) batch.keys.push_back(key);
  return batch;
}

void PendingInvalidations::confirm(const Batch& batch) {
  const std::scoped_lock lock{mutex_};
  for (const std::string& key : batch.keys) {
    const auto found = keys_.find(key);
    if (found != keys_.end() && found->second <= batch.generation) keys_.erase(found);
  }
  if (batch.everything && overflowed_at_ <= batch.generation) overflowed_at_ = 0;
  busy_ = !keys_.empty() || overflowed_at_ != 0;
}

bool PendingInvalidations::contains(const std::string& key) {
  if (empty()) return false;
  const std::scoped_lock lock{mutex_};
  return overflowed_at_ != 0 || keys_.contains(key);
}

}  // namespace stoa::redis::detail
