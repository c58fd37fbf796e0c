#include "servicekit/telemetry/process_metrics.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <system_error>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <sys/resource.h>
#include <unistd.h>

namespace stoa::telemetry {
namespace {

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

double resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return static_cast<double>(resident_pages) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double entry_count(const char* directory) {
  std::error_code failed;
  const std::filesystem::directory_iterator entries{directory, failed};
  if (failed) return 0;
  return static_cast<double>(std::distance(begin(entries), end(entries)));
}

double start_time_seconds() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ProcessMetrics::ProcessMetrics(prometheus::Registry& registry)
    : resident_memory_{gauge(registry, "process_resident_memory_bytes", "Resident memory")},
      cpu_seconds_{prometheus::BuildCounter()
                       .Name("process_cpu_seconds_total")
                       .Help("User and system CPU time")
                       .Register(registry)
                       .Add({})},
      open_fds_{gauge(registry, "process_open_fds", "Open file descriptors")},
      max_fds_{gauge(registry, "process_max_fds", "File descriptors allowed")},
      threads_{gauge(registry, "process_threads", "Threads")} {
  gauge(registry, "process_start_time_seconds", "Start of the process, Unix time")
      .Set(start_time_seconds());
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  max_fds_.Set(static_cast<double>(limit.rlim_cur));
}

void ProcessMetrics::update() {
  resident_memory_.Set(resident_bytes());
  cpu_seconds_.Increment(std::max(0.0, cpu_seconds() - cpu_seconds_.Value()));
  open_fds_.Set(entry_count("/proc/self/fd"));
  threads_.Set(entry_count("/proc/self/task"));
}

}  // namespace stoa::telemetry
