#include "servicekit/core/require.hpp"

#include <cstdio>
#include <cstdlib>
#include <print>

namespace stoa {

void fail_invariant(std::string_view what, std::source_location place) {
  // One JSON line like every other line of the log, written without the logger: it may be the
  // culprit.
  std::println(
      stderr, R"({{"level":"error","event":"invariant_broken","what":"{}","file":"{}","line":{}}})",
      what, place.file_name(), place.line());
  std::abort();
}

}  // namespace stoa
