#include "tests/simulation/chance.hpp"

#include <span>
#include <utility>

namespace stoa::simulation {
namespace {

// In 10,000 of the occasions.
constexpr std::uint64_t occasions = 10'000;

std::uint64_t often(Fault fault) {
  switch (fault) {
    case Fault::lost_request:
    case Fault::lost_answer:
    case Fault::slow_request:
      return 300;
    case Fault::cut_before:
    case Fault::cut_after:
      return 80;
    case Fault::crash_before:
    case Fault::crash_after:
      return 60;
    case Fault::stopped_before:
      return 20;
    case Fault::crash_idle:
    case Fault::freeze:
      return 600;
    case Fault::repeated:
    case Fault::lost_confirm:
    case Fault::lost_ack:
      return 500;
    case Fault::database_away:
    case Fault::broker_away:
    case Fault::provider_away:
      return 200;
    case Fault::clock_jump:
      return 150;
  }
  std::unreachable();
}

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
constexpr std::uint64_t golden_gamma = 0x9E3779B97F4A7C15;

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EB;
  return value ^ (value >> 31U);
}

}  // namespace

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::lost_request:
      return "lost requests";
    case Fault::lost_answer:
      return "lost answers";
    case Fault::slow_request:
      return "late requests";
    case Fault::cut_before:
      return "connections cut before a transaction";
    case Fault::cut_after:
      return "connections cut after COMMIT";
    case Fault::crash_before:
      return "kills before a transaction";
    case Fault::crash_after:
      return "kills after COMMIT";
    case Fault::crash_idle:
      return "kills at any moment";
    case Fault::stopped_before:
      return "processes stopped before a transaction";
    case Fault::freeze:
      return "processes stopped at any moment";
    case Fault::repeated:
      return "messages delivered twice";
    case Fault::lost_confirm:
      return "lost confirms";
    case Fault::lost_ack:
      return "lost acks";
    case Fault::database_away:
      return "databases away";
    case Fault::broker_away:
      return "broker away";
    case Fault::provider_away:
      return "provider away";
    case Fault::clock_jump:
      return "clocks that jumped";
  }
  std::unreachable();
}

Chance::Chance(const Schedule& schedule) : schedule_{schedule} {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i] = mixed(schedule.seed * (states_.size() + 1) + i + golden_gamma);
  }
}

std::uint64_t Chance::next(std::size_t source) {
  states_[source] += golden_gamma;
  return mixed(states_[source]);
}

// The bias of a remainder is far below what anybody could notice here.
std::uint64_t Chance::below(Stream stream, std::uint64_t bound) {
  return next(std::to_underlying(stream)) % bound;
}

std::chrono::milliseconds Chance::between(Stream stream, std::chrono::milliseconds low,
                                          std::chrono::milliseconds high) {
  const auto width = static_cast<std::uint64_t>((high - low).count()) + 1;
  return low + std::chrono::milliseconds{static_cast<std::int64_t>(below(stream, width))};
}

Uuid Chance::uuid() {
  Uuid id;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t bits = next(std::to_underlying(Stream::ids));
    for (std::uint8_t& byte : std::span{id.bytes}.subspan(half * 8, 8)) {
      byte = static_cast<std::uint8_t>(bits);
      bits >>= 8U;
    }
  }
  return id;
}

bool Chance::strikes(Fault fault) {
  if (!raging_) return false;
  const std::size_t kind = std::to_underlying(fault);
  if (next(stream_count + kind) % occasions >= often(fault)) return false;
  const std::uint32_t number = drawn_++;
  if (schedule_.faults && !schedule_.faults->contains(number)) return false;
  ++struck_[kind];
  numbers_.push_back(number);
  return true;
}

}  // namespace stoa::simulation
