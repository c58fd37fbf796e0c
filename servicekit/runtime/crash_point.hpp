#pragma once

#include <string_view>

namespace stoa::runtime {

#ifdef STOA_TESTING
/// Ends the process with _exit(137) when STOA_CRASH_AT names this point (`name` or `name:n`, the
/// n-th passage). tools/crash-points lists them from the sources: `name` is a literal on the same
/// line.
void crash_point(std::string_view name);
#else
inline void crash_point(std::string_view) {}
#endif

}  // namespace stoa::runtime
