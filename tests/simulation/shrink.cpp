#include "tests/simulation/shrink.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "servicekit/core/require.hpp"

namespace stoa::simulation {
namespace {

class Shrinker {
 public:
  Shrinker(std::string invariant, int runs_max)
      : invariant_{std::move(invariant)}, runs_left_{runs_max} {}

  bool tired() const { return runs_left_ <= 0; }

  bool still_fails(const Schedule& schedule) {
    if (tired()) return false;
    --runs_left_;
    const Outcome outcome = run(schedule);
    return outcome.violation && outcome.violation->invariant == invariant_;
  }

  /// Leaves out of `items` (a part of `schedule`) whatever is not needed. True when something went.
  template <class Item>
  bool reduce(Schedule& schedule, std::optional<std::set<Item>> Schedule::* part) {
    bool smaller = false;
    std::size_t group = std::max<std::size_t>((schedule.*part)->size() / 2, 1);
    while (!tired()) {
      const bool went = leave_out_groups(schedule, part, group);
      smaller = smaller || went;
      if (group == 1 && !went) break;
      group = std::max<std::size_t>(group / 2, 1);
    }
    return smaller;
  }

 private:
  template <class Item>
  bool leave_out_groups(Schedule& schedule, std::optional<std::set<Item>> Schedule::* part,
                        std::size_t group) {
    bool went = false;
    const std::vector<Item> items{(schedule.*part)->begin(), (schedule.*part)->end()};
    for (std::size_t first = 0; first < items.size(); first += group) {
      Schedule smaller = schedule;
      const std::size_t end = std::min(first + group, items.size());
      for (std::size_t i = first; i < end; ++i) (smaller.*part)->erase(items[i]);
      if ((smaller.*part)->size() == (schedule.*part)->size()) continue;
      if (!still_fails(smaller)) continue;
      schedule = smaller;
      went = true;
    }
    return went;
  }

  std::string invariant_;
  int runs_left_;
};

}  // namespace

Schedule shrunk(const Schedule& failing, int runs_max) {
  const Outcome outcome = run(failing);
  require(outcome.violation.has_value(), "only a failing schedule is shrunk");
  Schedule smallest = failing;
  if (!smallest.purchases) {
    smallest.purchases.emplace();
    for (int client = 0; client < client_count; ++client) {
      for (int number = 0; number < purchases_of_a_client; ++number) {
        smallest.purchases->insert({.client = client, .number = number});
      }
    }
  }
  if (!smallest.faults) {
    smallest.faults.emplace(outcome.fault_numbers.begin(), outcome.fault_numbers.end());
  }
  Shrinker shrinker{outcome.violation->invariant, runs_max};
  // A later fault may strike only where an earlier one was left out: then all of them stay.
  if (!shrinker.still_fails(smallest)) return failing;
  bool smaller = true;
  while (smaller && !shrinker.tired()) {
    const bool fewer_faults = shrinker.reduce(smallest, &Schedule::faults);
    const bool fewer_purchases = shrinker.reduce(smallest, &Schedule::purchases);
    smaller = fewer_faults || fewer_purchases;
  }
  return smallest;
}

}  // namespace stoa::simulation
