#include "servicekit/runtime/mutant.hpp"

#ifdef STOA_TESTING

#include <algorithm>
#include <cstdlib>
#include <format>
#include <vector>

#include "servicekit/core/require.hpp"

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

std::string detail::replaced(std::string_view text, std::string_view part,
                             std::string_view instead) {
  const std::size_t at = text.find(part);
  require(at != std::string_view::npos && text.find(part, at + 1) == std::string_view::npos,
          "what a mutant replaces stands once");
  std::string mutated{text};
  return mutated.replace(at, part.size(), instead);
}

std::optional<std::string> wrong_mutant() {
  if (wanted().empty() || std::ranges::contains(known(), wanted())) return std::nullopt;
  std::string problem = std::format("STOA_MUTANT \"{}\" is no mutant of this program", wanted());
  for (const std::string_view name : known()) problem.append("\n    ").append(name);
  return problem;
}

}  // namespace stoa::runtime

#endif
