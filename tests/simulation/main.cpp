// The long form: one seed after the other, for a time or for a number of steps.
//
//   saga-simulation [--seed N] [--steps N | --seconds N] [--defect NAME] [--schedule "LINE"]
//
// Prints what happened as lines "name value", then every violation with the smallest schedule that
// shows it. Exit code: 0 none, 1 some, 2 a wrong argument.

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <print>
#include <span>
#include <string_view>

#include <unistd.h>

#include "tests/simulation/shrink.hpp"

namespace stoa::simulation {
namespace {

constexpr int shrinking_runs_max = 500;
constexpr std::size_t violations_max = 3;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t steps = 1'000'000;
  std::chrono::seconds seconds{0};
  std::optional<Defect> defect{};
  std::optional<Schedule> schedule{};
};

struct Sum {
  std::uint64_t seeds = 0;
  std::uint64_t steps = 0;
  std::uint64_t orders = 0;
  std::uint64_t captures = 0;
  std::uint64_t refunds = 0;
  std::array<std::uint64_t, fault_count> faults{};
  std::size_t violations = 0;
};

// A broken require() in the rules aborts: whoever looks must know of which seed.
volatile std::uint64_t running_seed = 0;  // read by the handler of SIGABRT

void tell_seed(int) {
  char text[32] = "aborted in seed ";
  char* const end = std::to_chars(text + 16, text + 31, std::uint64_t{running_seed}).ptr;
  *end = '\n';
  const auto written = write(STDERR_FILENO, text, static_cast<std::size_t>(end + 1 - text));
  static_cast<void>(written);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool read_option(Options& options, std::string_view name, std::string_view value) {
  if (name == "--defect") {
    options.defect = parse_defect(value);
    return options.defect.has_value();
  }
  if (name == "--schedule") {
    options.schedule = parse_schedule(value);
    return options.schedule.has_value();
  }
  const auto parsed = number(value);
  if (!parsed) return false;
  if (name == "--seed") options.seed = *parsed;
  if (name == "--steps") options.steps = *parsed;
  if (name == "--seconds") options.seconds = std::chrono::seconds{*parsed};
  return name == "--seed" || name == "--steps" || name == "--seconds";
}

std::optional<Options> read_options(std::span<char*> arguments) {
  Options options;
  for (std::size_t i = 1; i < arguments.size(); i += 2) {
    if (i + 1 == arguments.size()) return std::nullopt;
    if (!read_option(options, arguments[i], arguments[i + 1])) return std::nullopt;
  }
  return options;
}

void add(Sum& sum, const Outcome& outcome) {
  ++sum.seeds;
  sum.steps += outcome.steps;
  sum.orders += outcome.orders;
  sum.captures += outcome.captures;
  sum.refunds += outcome.refunds;
  for (std::size_t i = 0; i < fault_count; ++i) sum.faults[i] += outcome.faults[i];
}

void tell_violation(const Schedule& schedule, const Violation& violation) {
  const Schedule smallest = shrunk(schedule, shrinking_runs_max);
  const Outcome again = run(smallest);
  std::println("violation {}", violation.invariant);
  std::println("  seen       {}", violation.detail);
  std::println("  schedule   {}", text(smallest));
  std::println("  shows      {} ({} steps)", again.violation ? again.violation->detail : "nothing",
               again.steps);
}

// Steps a minute of processor time: what else the machine does is not ours.
void print(const Sum& sum, double seconds, double processor_seconds) {
  std::println("seeds {}", sum.seeds);
  std::println("steps {}", sum.steps);
  std::println("orders {}", sum.orders);
  std::println("captures {}", sum.captures);
  std::println("refunds {}", sum.refunds);
  std::println("seconds {:.1f}", seconds);
  std::println("steps_a_minute {:.0f}", static_cast<double>(sum.steps) / processor_seconds * 60);
  for (std::size_t i = 0; i < fault_count; ++i) {
    std::println("fault {} {}", sum.faults[i], name(static_cast<Fault>(i)));
  }
  std::println("violations {}", sum.violations);
}

int simulate(const Options& options) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  const auto enough = [&](const Sum& sum) {
    if (options.schedule) return sum.seeds > 0;
    if (options.seconds.count() > 0) return elapsed() >= double(options.seconds.count());
    return sum.steps >= options.steps;
  };
  Sum sum;
  for (std::uint64_t seed = options.seed; !enough(sum) && sum.violations < violations_max; ++seed) {
    running_seed = seed;
    const Schedule schedule =
        options.schedule.value_or(Schedule{.seed = seed, .defect = options.defect});
    const Outcome outcome = run(schedule);
    add(sum, outcome);
    if (!outcome.violation) continue;
    ++sum.violations;
    tell_violation(schedule, *outcome.violation);
  }
  print(sum, elapsed(), static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return sum.violations == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace stoa::simulation

int main(int argc, char** argv) {
  namespace simulation = stoa::simulation;
  std::signal(SIGABRT, simulation::tell_seed);
  const auto options = simulation::read_options(std::span{argv, static_cast<std::size_t>(argc)});
  if (!options) {
    std::println(stderr, "saga-simulation: not understood; see tests/simulation/README.md");
    return 2;
  }
  return simulation::simulate(*options);
}
