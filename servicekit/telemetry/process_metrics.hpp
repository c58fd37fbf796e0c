#pragma once

#include <prometheus/registry.h>

namespace stoa::telemetry {

/// CPU time that this process has used, by all its threads, in user and kernel mode.
double cpu_seconds();

/// The metrics that every Prometheus client offers about its process, read from /proc when they are
/// asked for.
class ProcessMetrics {
 public:
  explicit ProcessMetrics(prometheus::Registry& registry);

  void update();

 private:
  prometheus::Gauge& resident_memory_;
  prometheus::Counter& cpu_seconds_;
  prometheus::Gauge& open_fds_;
  prometheus::Gauge& max_fds_;
  prometheus::Gauge& threads_;
};

}  // namespace stoa::telemetry
