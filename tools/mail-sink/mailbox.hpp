#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/core/time.hpp"

namespace stoa::mail {

/// One message as it was handed over.
struct Mail {
  std::uint64_t id = 0;
  std::string from;             ///< of the envelope
  std::vector<std::string> to;  ///< of the envelope, lower case
  Instant received_at{};
  std::string raw;

  // Read once at arrival, since they are what is searched for.
  std::string subject{};
  std::string message_id{};
};

/// What tests ask the next deliveries to meet.
struct Faults {
  std::size_t refuse_next = 0;         ///< answered 451 at the end of DATA
  std::chrono::milliseconds delay{0};  ///< before every answer to DATA
};

/// The messages in memory, the oldest leaving when there are too many, and (if wanted) a journal
/// that outlives a kill -9. Not thread-safe: used on one loop.
class Mailbox {
 public:
  struct Limits {
    std::size_t messages_max = 100'000;
    std::size_t bytes_max = 512UL * 1024 * 1024;
  };

  /// Replays `journal` when it exists; a torn end is cut off. Empty: no journal. Throws
  /// std::runtime_error when it cannot be written.
  Mailbox(Limits limits, std::filesystem::path journal);

  /// Written to the journal before it returns: whoever is told 250 finds it after a kill -9.
  void add(Mail mail);

  struct Filter {
    std::optional<std::string> to{};       ///< exact address, any case
    std::optional<std::string> subject{};  ///< part of it, any case
  };
  /// The newest first.
  std::vector<const Mail*> find(const Filter& filter, std::size_t limit) const;
  const Mail* find(std::uint64_t id) const;
  std::size_t size() const { return mails_.size(); }
  void clear();

  Faults faults;

 private:
  void keep(Mail mail);
  void replay();

  Limits limits_;
  std::filesystem::path journal_path_;
  std::ofstream journal_;
  std::deque<Mail> mails_;
  std::size_t bytes_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace stoa::mail
