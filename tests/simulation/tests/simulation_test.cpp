#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/simulation/shrink.hpp"

namespace stoa::simulation {
namespace {

constexpr std::string_view kept_schedules = "tests/simulation/schedules.txt";
constexpr std::uint64_t seeds_to_catch_a_defect = 600;

std::string told(const Outcome& outcome) {
  return outcome.violation ? outcome.violation->invariant + ": " + outcome.violation->detail : "";
}

std::vector<std::string> kept_lines() {
  std::vector<std::string> lines;
  std::ifstream file{std::string{kept_schedules}};
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && !line.starts_with('#')) lines.push_back(line);
  }
  return lines;
}

struct Caught {
  Schedule schedule;
  std::string invariant;
};

std::optional<Caught> first_seed_that_shows(Defect defect) {
  for (std::uint64_t seed = 1; seed <= seeds_to_catch_a_defect; ++seed) {
    const Schedule schedule{.seed = seed, .defect = defect};
    const Outcome outcome = run(schedule);
    if (outcome.violation)
      return Caught{.schedule = schedule, .invariant = outcome.violation->invariant};
  }
  return std::nullopt;
}

TEST(Schedule, IsReadAsItIsWritten) {
  for (const std::string_view line :
       {"seed=7", "seed=18446744073709551615 defect=inbox_off", "seed=1 purchases=- faults=-",
        "seed=3 purchases=0.1,7.3 faults=0,12"}) {
    const auto schedule = parse_schedule(line);
    ASSERT_TRUE(schedule) << line;
    EXPECT_EQ(text(*schedule), line);
  }
}

TEST(Schedule, IsRefusedWhenItIsSomethingElse) {
  for (const std::string_view line :
       {"", "seed=", "seed=x", "faults=1", "seed=1 defect=none", "seed=1 faults=1,",
        "seed=1 purchases=3", "seed=1 colour=red", "seed"}) {
    EXPECT_FALSE(parse_schedule(line)) << line;
  }
}

TEST(Simulation, IsTheSameTwiceFromTheSameSeed) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_EQ(run({.seed = seed}), run({.seed = seed})) << seed;
  }
  EXPECT_NE(run({.seed = 1}), run({.seed = 2}));
}

TEST(Simulation, DoesWhatItClaims) {
  Outcome sum;
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    const Outcome outcome = run({.seed = seed});
    sum.orders += outcome.orders;
    sum.captures += outcome.captures;
    sum.refunds += outcome.refunds;
    for (std::size_t i = 0; i < fault_count; ++i) sum.faults[i] += outcome.faults[i];
    EXPECT_EQ(told(outcome), "") << seed;
  }
  EXPECT_GE(sum.orders, 200U);
  EXPECT_GE(sum.captures, 100U);
  EXPECT_GE(sum.refunds, 50U);
  for (std::size_t i = 0; i < fault_count; ++i) {
    EXPECT_GT(sum.faults[i], 0U) << name(static_cast<Fault>(i));
  }
}

TEST(Simulation, HasNoFaultsWhenTheScheduleNamesNone) {
  const Outcome outcome = run({.seed = 5, .faults = std::set<std::uint32_t>{}});
  EXPECT_TRUE(outcome.fault_numbers.empty());
  EXPECT_EQ(told(outcome), "");
}

TEST(Simulation, KeepsWhatItOnceFound) {
  const auto lines = kept_lines();
  ASSERT_FALSE(lines.empty()) << kept_schedules;
  for (const std::string& line : lines) {
    auto schedule = parse_schedule(line);
    ASSERT_TRUE(schedule) << line;
    schedule->defect.reset();
    EXPECT_EQ(told(run(*schedule)), "") << line;
  }
}

TEST(Simulation, ShrinksAFailingScheduleThatStillFails) {
  const auto caught = first_seed_that_shows(Defect::refund_without_cap);
  ASSERT_TRUE(caught);
  const Schedule smallest = shrunk(caught->schedule, 200);
  ASSERT_TRUE(smallest.purchases && smallest.faults);
  EXPECT_LE(smallest.purchases->size(), 3U);
  const Outcome outcome = run(smallest);
  ASSERT_TRUE(outcome.violation);
  EXPECT_EQ(outcome.violation->invariant, caught->invariant);
}

class PlantedDefect : public testing::TestWithParam<Defect> {};

TEST_P(PlantedDefect, IsCaught) {
  const auto caught = first_seed_that_shows(GetParam());
  ASSERT_TRUE(caught) << name(GetParam()) << " survived " << seeds_to_catch_a_defect << " seeds";
  RecordProperty("seed", std::to_string(caught->schedule.seed));
  RecordProperty("invariant", caught->invariant);
  Schedule sound = caught->schedule;
  sound.defect.reset();
  EXPECT_EQ(told(run(sound)), "") << "the seed fails without the defect too";
}

INSTANTIATE_TEST_SUITE_P(Each, PlantedDefect, testing::ValuesIn(all_defects),
                         [](const auto& each) { return std::string{name(each.param)}; });

}  // namespace
}  // namespace stoa::simulation
