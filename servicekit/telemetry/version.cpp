#include "servicekit/telemetry/version.hpp"

#include <cstdlib>

namespace stoa {
namespace {

std::string_view of_environment() {
  // Nobody changes the environment.
  const char* told = std::getenv("STOA_VERSION");  // NOLINT(concurrency-mt-unsafe)
  return told == nullptr || *told == '\0' ? "unreleased" : told;
}

}  // namespace

std::string_view version() {
  static const std::string_view told = of_environment();
  return told;
}

}  // namespace stoa
