#include "servicekit/runtime/mutant.hpp"

#ifdef STOA_TESTING

#include <algorithm>
#include <cstdlib>
#include <format>
#include <vector>

namespace stoa::runtime {
namespace {

std::string_view wanted() {
  // Before main there is one thread, and afterwards nobody changes the environment.
  const char* setting = std::getenv("STOA_MUTANT");  // NOLINT(concurrency-mt-unsafe)
  return setting == nullptr ? "" : setting;
}

// A function's own, since others enlist before this file's globals are made.
std::vector<std::string_view>& known() {
  static std::vector<std::string_view> names;
  return names;
}

}  // namespace

bool detail::enlist_mutant(std::string_view name) noexcept {
  known().push_back(name);
  return name == wanted();
}

std::optional<std::string> wrong_mutant() {
  if (wanted().empty() || std::ranges::contains(known(), wanted())) return std::nullopt;
  std::string problem = std::format("STOA_MUTANT \"{}\" is no mutant of this program", wanted());
  for (const std::string_view name : known()) problem.append("\n    ").append(name);
  return problem;
}

}  // namespace stoa::runtime

#endif
