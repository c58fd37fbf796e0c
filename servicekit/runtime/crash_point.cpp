#include "servicekit/runtime/crash_point.hpp"

#ifdef STOA_TESTING

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string>

#include <unistd.h>

#include "servicekit/core/require.hpp"

namespace stoa::runtime {
namespace {

constexpr int killed = 137;  // what a shell reports of kill -9

struct Crash {
  std::string point;
  std::uint64_t at_passage = 1;
};

Crash read_crash() {
  // The first point is passed long after the environment was last changed: never.
  const char* setting = std::getenv("STOA_CRASH_AT");  // NOLINT(concurrency-mt-unsafe)
  if (setting == nullptr) return {};
  const std::string_view text{setting};
  const std::size_t colon = text.find(':');
  Crash crash{.point = std::string{text.substr(0, colon)}};
  if (colon == std::string_view::npos) return crash;
  const std::string_view count = text.substr(colon + 1);
  const auto [end, failure] =
      std::from_chars(count.data(), count.data() + count.size(), crash.at_passage);
  require(failure == std::errc{} && end == count.data() + count.size() && crash.at_passage > 0,
          "STOA_CRASH_AT is name or name:n with n from 1");
  return crash;
}

}  // namespace

void crash_point(std::string_view name) {
  static const Crash crash = read_crash();
  static std::atomic<std::uint64_t> passages{0};
  if (name == crash.point && passages.fetch_add(1) + 1 == crash.at_passage) ::_exit(killed);
}

}  // namespace stoa::runtime

#endif
