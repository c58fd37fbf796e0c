#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

// Private to this folder.
namespace stoa::redis::detail {

/// The keys that are wrong in Redis as long as their removal is not confirmed. Shared by the loops
/// of the process; the lock is only taken while there are any.
class PendingInvalidations {
 public:
  static constexpr std::size_t keys_max = 10'000;

  struct Batch {
    std::uint64_t generation = 0;  ///< keys marked later are not of this batch
    bool everything = false;       ///< more than keys_max waited: only a flush can be right
    std::vector<std::string> keys;
  };

  /// Marks keys before their removal is sent.
  Batch mark(std::vector<std::string> keys);

  /// Everything that waits, for another attempt.
  Batch all();

  /// The removal of this batch is confirmed. A key marked again since stays.
  void confirm(const Batch& batch);

  bool contains(const std::string& key);
  bool empty() const { return !busy_.load(); }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::uint64_t> keys_;
  std::uint64_t generation_ = 0;
  std::uint64_t overflowed_at_ = 0;  ///< generation; 0: everything is listed
  std::atomic<bool> busy_{false};
};

}  // namespace stoa::redis::detail
