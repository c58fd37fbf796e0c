#include "tests/simulation/world.hpp"

#include <format>
#include <utility>

namespace stoa::simulation {
namespace {

constexpr milliseconds faults_until{40'000};
constexpr milliseconds rest_until{300'000};
constexpr milliseconds weather_period{250};
constexpr milliseconds away_min{300};
constexpr milliseconds away_max{6'000};
constexpr milliseconds freeze_max{20'000};
constexpr milliseconds jump_max{20'000};
// Whether all is at rest costs a look at everything, so not after each step.
constexpr std::uint64_t rest_checked_every = 32;

}  // namespace

bool operator==(const Outcome& a, const Outcome& b) {
  const auto same_violation = [&] {
    if (!a.violation || !b.violation) return a.violation.has_value() == b.violation.has_value();
    return a.violation->invariant == b.violation->invariant &&
           a.violation->detail == b.violation->detail;
  };
  return a.steps == b.steps && a.orders == b.orders && a.captures == b.captures &&
         a.refunds == b.refunds && a.faults == b.faults && a.fault_numbers == b.fault_numbers &&
         a.virtual_time == b.virtual_time && same_violation();
}

World::World(const Schedule& schedule)
    : schedule_{schedule},
      provider_{room_, [this](const payment::ProviderEvent& event) { deliver_webhook(event); }},
      clients_{*this} {
  add(orders_, order_processes_);
  add(payments_, payment_processes_);
  add(products_, product_processes_);
}

// What still runs goes before what it refers to.
World::~World() {
  for (ProcessId process = 0; process < room_.process_count(); ++process) {
    room_.engine().kill(process);
  }
}

template <class Replica>
void World::add(Replicas<Replica>& replicas, Processes& processes) {
  for (std::size_t i = 0; i < replica_count; ++i) {
    auto& replica = replicas[i];
    ProcessId& process = processes[i];
    process = room_.add({.start =
                             [this, &replica, &process] {
                               replica = std::make_unique<Replica>(*this, process);
                               replica->start();
                             },
                         .die =
                             [this, &replica, &process] {
                               broker_.unsubscribe(process);
                               replica.reset();
                             }});
    room_.start(process);
  }
}

void World::deliver_webhook(const payment::ProviderEvent& event) {
  const std::size_t to = any_replica();
  const ProcessId process = payment_process(to);
  if (!room_.alive(process) || room_.engine().frozen(process)) return;
  room_.engine().spawn("webhook", payment(to).webhook(event));
}

ProcessId World::any_process() {
  const std::array all{&order_processes_, &payment_processes_, &product_processes_};
  const std::uint64_t which = room_.chance().below(Stream::faults, all.size());
  return (*all[which])[room_.chance().below(Stream::faults, replica_count)];
}

void World::any_database_away(milliseconds duration) {
  const std::array<Database*, 3> all{&order_database_, &payment_database_, &stock_database_};
  all[room_.chance().below(Stream::faults, all.size())]->go_away(duration);
}

void World::any_clock_jumps(milliseconds by) {
  const std::array<Database*, 3> all{&order_database_, &payment_database_, &stock_database_};
  all[room_.chance().below(Stream::faults, all.size())]->jump(by);
}

// What happens to the machine room as a whole, at any moment.
void World::weather() {
  Chance& chance = room_.chance();
  const auto duration = [&] { return chance.between(Stream::faults, away_min, away_max); };
  if (chance.strikes(Fault::crash_idle)) room_.kill(any_process());
  if (chance.strikes(Fault::freeze)) {
    const ProcessId frozen = any_process();
    room_.engine().freeze(frozen, chance.between(Stream::faults, away_min, freeze_max));
  }
  if (chance.strikes(Fault::database_away)) any_database_away(duration());
  if (chance.strikes(Fault::broker_away)) broker_.go_away(duration());
  if (chance.strikes(Fault::provider_away)) provider_.go_away(duration());
  if (chance.strikes(Fault::clock_jump)) {
    any_clock_jumps(chance.between(Stream::faults, -jump_max, jump_max));
  }
  if (room_.engine().now() >= faults_until) {
    chance.calm_down();
    return;
  }
  room_.engine().after(weather_period, [this] { weather(); });
}

Outcome World::run() {
  clients_.start();
  room_.engine().after(weather_period, [this] { weather(); });
  std::uint64_t steps = 0;
  while (!room_.violation() && room_.engine().step()) {
    ++steps;
    if (room_.take_changed()) invariants_.after_step();
    if (room_.chance().raging() || steps % rest_checked_every != 0) continue;
    if (invariants_.rests()) {
      invariants_.at_rest();
      break;
    }
    if (room_.engine().now() > rest_until) {
      room_.violated("everything comes to an end", invariants_.unfinished());
    }
  }
  return outcome(steps);
}

Outcome World::outcome(std::uint64_t steps) {
  Outcome outcome{.steps = steps,
                  .orders = order_database_.rows().size(),
                  .faults = room_.chance().struck(),
                  .fault_numbers = room_.chance().numbers(),
                  .virtual_time = room_.engine().now(),
                  .violation = room_.violation()};
  for (const auto& line : provider_.statement()) {
    ++(line.kind == "capture" ? outcome.captures : outcome.refunds);
  }
  return outcome;
}

Outcome run(const Schedule& schedule) {
  World world{schedule};
  return world.run();
}

}  // namespace stoa::simulation
