// Joins GCC's coverage calls to libFuzzer, whose runtime knows clang's. GCC has -fsanitize-coverage
// =trace-pc: a call at each edge, without a table. Each caller gets a counter of libFuzzer's 8-bit
// counters by its address; of 64 Ki few are shared. Comparisons (trace-cmp) libFuzzer takes itself,
// but for those of floating point, which it does not know.
#include <array>
#include <cstdint>

extern "C" {
// The interface of SanitizerCoverage (clang's documentation), declared by no header of GCC's.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): its names
void __sanitizer_cov_8bit_counters_init(std::uint8_t* begin, std::uint8_t* end);
void __sanitizer_cov_trace_pc();
void __sanitizer_cov_trace_cmpf(float a, float b);
void __sanitizer_cov_trace_cmpd(double a, double b);
}

namespace {

constexpr std::size_t counter_count = 65'536;
std::array<std::uint8_t, counter_count> counters;

// Before main: libFuzzer looks at what there is when it starts.
const bool known_to_libfuzzer = [] {
  __sanitizer_cov_8bit_counters_init(counters.data(), counters.data() + counters.size());
  return true;
}();

}  // namespace

void __sanitizer_cov_trace_pc() {
  const auto caller = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  std::uint8_t& counter = counters[(caller ^ (caller >> 16U)) % counter_count];
  if (counter < UINT8_MAX) ++counter;
}

void __sanitizer_cov_trace_cmpf(float, float) {}
void __sanitizer_cov_trace_cmpd(double, double) {}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
