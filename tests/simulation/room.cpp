#include "tests/simulation/room.hpp"

namespace stoa::simulation {
namespace {

constexpr milliseconds hop_min{1};
constexpr milliseconds hop_max{40};
constexpr milliseconds transaction_min{1};
constexpr milliseconds transaction_max{15};
constexpr milliseconds stopped_min{5'000};
constexpr milliseconds stopped_max{45'000};
constexpr milliseconds down_min{100};
constexpr milliseconds down_max{4'000};

}  // namespace

void Room::violated(std::string invariant, std::string detail) {
  if (violation_) return;
  violation_ = Violation{.invariant = std::move(invariant), .detail = std::move(detail)};
}

ProcessId Room::add(Life life) {
  processes_.push_back({.life = std::move(life)});
  return processes_.size() - 1;
}

void Room::kill(ProcessId process) {
  Process& killed = processes_[process];
  if (!killed.alive) return;
  killed.alive = false;
  const std::uint64_t life = ++killed.lives;
  engine_.kill(process);
  killed.life.die();
  engine_.after(chance_.between(Stream::faults, down_min, down_max), [this, process, life] {
    Process& dead = processes_[process];
    if (dead.alive || dead.lives != life) return;
    dead.alive = true;
    dead.life.start();
  });
}

Task<> Room::die(ProcessId process) {
  engine_.after(milliseconds{0}, [this, process] { kill(process); });
  co_await engine_.park(process, engine_.new_token());
}

milliseconds Room::hop() { return chance_.between(Stream::network, hop_min, hop_max); }

Task<> Line::go() {
  const auto way = room_.chance().between(Stream::network, transaction_min, transaction_max);
  if (room_.chance().strikes(Fault::stopped_before)) {
    room_.engine().freeze(process_,
                          room_.chance().between(Stream::faults, stopped_min, stopped_max));
  }
  co_await room_.engine().pause(process_, way);
  if (room_.chance().strikes(Fault::crash_before)) co_await room_.die(process_);
  const bool away = room_.engine().now() < away_until_;
  if (away || room_.chance().strikes(Fault::cut_before)) throw Unavailable{"database"};
}

Task<> Line::back() {
  room_.changed();
  if (room_.chance().strikes(Fault::crash_after)) co_await room_.die(process_);
  const auto way = room_.chance().between(Stream::network, transaction_min, transaction_max);
  co_await room_.engine().pause(process_, way);
  if (room_.chance().strikes(Fault::cut_after)) throw Unavailable{"COMMIT unknown"};
}

}  // namespace stoa::simulation
