#pragma once

#include <functional>

#include "tests/simulation/world.hpp"

namespace stoa::simulation {

/// The smallest schedule found that still violates the same invariant: purchases are left out, then
/// faults, in ever smaller groups (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing
/// Input, 2002), until nothing more can go or `runs_max` runs were made. The schedule must fail.
Schedule shrunk(const Schedule& failing, int runs_max);

}  // namespace stoa::simulation
