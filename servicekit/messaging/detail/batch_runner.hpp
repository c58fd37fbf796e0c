#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/task.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::messaging::detail {

/// Brings batches through the service's handler: pauses while the world fails, takes a batch apart
/// when something in it is broken. Lives on loop 0; kept alive by the batch that runs.
class BatchRunner {
 public:
  BatchRunner(Consumer::Options options, BatchHandler handler, telemetry::Telemetry& telemetry);

  using Verdicts = std::optional<std::vector<Verdict>>;

  /// One verdict for each event, in order. Empty when `abandoned` turned true during a pause: the
  /// broker still has the messages. Waits as long as the world fails.
  Task<Verdicts> run(std::vector<Event> events, std::function<bool()> abandoned);

 private:
  struct Attempt {
    enum class Kind : std::uint8_t { answered, world_failed, broken };
    Kind kind = Kind::answered;
    std::vector<Verdict> verdicts{};
    std::string reason{};
  };
  Task<Attempt> attempt(std::vector<Event> events);
  Task<std::vector<Verdict>> handle(std::vector<Event> events);
  void pause(const std::string& reason);
  void resume();

  Consumer::Options options_;
  BatchHandler handler_;
  telemetry::Telemetry& telemetry_;
  telemetry::Gauge paused_gauge_;
  telemetry::Histogram duration_;
  bool paused_ = false;
};

}  // namespace stoa::messaging::detail
