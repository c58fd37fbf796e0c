#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "servicekit/core/uuid.hpp"

#include "tests/simulation/schedule.hpp"

namespace stoa::simulation {

/// What can go wrong.
enum class Fault : std::uint8_t {
  lost_request,    ///< never arrives
  lost_answer,     ///< done, but the caller does not learn it
  slow_request,    ///< arrives after the caller has given up
  cut_before,      ///< the connection to the database goes before the transaction
  cut_after,       ///< the connection goes with the answer to COMMIT
  crash_before,    ///< kill -9 before the transaction
  crash_after,     ///< kill -9 after the transaction, before anybody learns of it
  crash_idle,      ///< kill -9 at any moment
  stopped_before,  ///< SIGSTOP before a transaction, for long: others act meanwhile
  freeze,          ///< SIGSTOP for a while: what it held runs out
  repeated,        ///< the broker delivers a message twice
  lost_confirm,    ///< the broker has the message, the relay does not learn it
  lost_ack,        ///< done and acknowledged, but the broker delivers it again
  database_away,   ///< all calls to one database fail for a while
  broker_away,     ///< nothing is published or delivered for a while
  provider_away,   ///< the provider does not answer for a while
  clock_jump,      ///< the clock of a database jumps
};
inline constexpr std::size_t fault_count = std::to_underlying(Fault::clock_jump) + 1;
std::string_view name(Fault fault);

/// Independent sources, so that a fault left out does not change what clients want.
enum class Stream : std::uint8_t { clients, network, ids, faults };
inline constexpr std::size_t stream_count = std::to_underlying(Stream::faults) + 1;

/// All randomness of a run, from its seed alone.
class Chance {
 public:
  explicit Chance(const Schedule& schedule);

  /// 0 to `bound` - 1.
  std::uint64_t below(Stream stream, std::uint64_t bound);
  bool in_hundred(Stream stream, std::uint64_t percent) { return below(stream, 100) < percent; }
  std::chrono::milliseconds between(Stream stream, std::chrono::milliseconds low,
                                    std::chrono::milliseconds high);
  Uuid uuid();

  /// Whether the fault happens now. Counted while they are on; one that the schedule does not name
  /// is counted and does not happen.
  bool strikes(Fault fault);
  void calm_down() { raging_ = false; }
  bool raging() const { return raging_; }

  const std::array<std::uint64_t, fault_count>& struck() const { return struck_; }
  const std::vector<std::uint32_t>& numbers() const { return numbers_; }

 private:
  std::uint64_t next(std::size_t source);

  const Schedule& schedule_;
  std::array<std::uint64_t, stream_count + fault_count> states_{};
  std::array<std::uint64_t, fault_count> struck_{};
  std::vector<std::uint32_t> numbers_;  // of those that happened
  std::uint32_t drawn_ = 0;
  bool raging_ = true;
};

}  // namespace stoa::simulation
