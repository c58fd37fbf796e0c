#include "servicekit/messaging/detail/batch_runner.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/detail/backoff.hpp"

namespace stoa::messaging::detail {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds pause_first{100};
constexpr milliseconds pause_max{5'000};
constexpr milliseconds abandon_check{50};

// In small steps, so that a stop does not wait for the end of a pause.
Task<> sleep_unless(milliseconds duration, std::function<bool()> abandoned) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (!abandoned() && std::chrono::steady_clock::now() < end) {
    co_await sleep_for(abandon_check);
  }
}

std::vector<Event> slice(const std::vector<Event>& events, std::size_t from, std::size_t count) {
  const auto first = events.begin() + static_cast<std::ptrdiff_t>(from);
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

BatchRunner::BatchRunner(Consumer::Options options, BatchHandler handler,
                         telemetry::Telemetry& telemetry)
    : options_{std::move(options)},
      handler_{std::move(handler)},
      telemetry_{telemetry},
      paused_gauge_{telemetry.gauge("stoa_consumer_paused",
                                    "1 while a consumer waits for a dependency to come back",
                                    {{"queue", options_.queue}})},
      duration_{telemetry.histogram("stoa_consumer_batch_seconds",
                                    "Time that a batch of events took",
                                    {{"queue", options_.queue}})} {}

Task<BatchRunner::Verdicts> BatchRunner::run(std::vector<Event> events,
                                             std::function<bool()> abandoned) {
  std::vector<Verdict> verdicts;
  std::size_t slice_max = events.size();
  bool one_by_one = false;
  Backoff backoff{pause_first, pause_max};
  while (verdicts.size() < events.size()) {
    const std::size_t count = one_by_one ? 1 : std::min(slice_max, events.size() - verdicts.size());
    auto part = slice(events, verdicts.size(), count);
    Attempt outcome = co_await attempt(std::move(part));
    switch (outcome.kind) {
      case Attempt::Kind::answered:
        std::ranges::move(outcome.verdicts, std::back_inserter(verdicts));
        resume();
        backoff.reset();
        slice_max = std::min(slice_max * 2, events.size());
        break;
      case Attempt::Kind::broken:
        if (count == 1) verdicts.push_back(Verdict::refuse(std::move(outcome.reason)));
        one_by_one = true;
        break;
      case Attempt::Kind::world_failed:
        pause(outcome.reason);
        // What fails because it is too much for the deadline succeeds in smaller pieces.
        slice_max = std::max<std::size_t>(slice_max / 2, 1);
        const milliseconds duration = backoff.next();
        co_await sleep_unless(duration, abandoned);
        if (abandoned()) co_return std::nullopt;
        break;
    }
  }
  co_return verdicts;
}

Task<BatchRunner::Attempt> BatchRunner::attempt(std::vector<Event> events) {
  const std::size_t count = events.size();
  const auto started = std::chrono::steady_clock::now();
  Attempt outcome;
  try {
    outcome.verdicts = co_await handle(std::move(events));
    require(outcome.verdicts.size() == count, "a batch handler answers one verdict for each event");
    duration_.observe(std::chrono::steady_clock::now() - started);
  } catch (const Unavailable& failure) {
    outcome = {.kind = Attempt::Kind::world_failed, .reason = failure.what()};
  } catch (const std::exception& failure) {
    // SqlError, or what else only this message can have caused: taken apart, then refused.
    outcome = {.kind = Attempt::Kind::broken, .reason = failure.what()};
  }
  co_return outcome;
}

Task<std::vector<Verdict>> BatchRunner::handle(std::vector<Event> events) {
  std::vector<telemetry::Span> spans;
  spans.reserve(events.size());
  for (Event& event : events) {
    spans.push_back(
        telemetry_.span(event.trace, "consume " + event.type, telemetry::SpanKind::consumer));
    event.trace = spans.back().context();
  }
  Context context = Context{.trace = events.front().trace}.within(options_.deadline);
  auto verdicts = co_await handler_(std::move(context), std::move(events));
  for (std::size_t i = 0; i < std::min(spans.size(), verdicts.size()); ++i) {
    if (verdicts[i].kind == Verdict::Kind::refuse) spans[i].fail(verdicts[i].reason);
  }
  co_return verdicts;
}

void BatchRunner::pause(const std::string& reason) {
  if (!paused_) {
    telemetry_.warn("consumer_paused", {{"queue", options_.queue}, {"detail", reason}});
  }
  paused_ = true;
  paused_gauge_.set(1);
}

void BatchRunner::resume() {
  if (!paused_) return;
  telemetry_.info("consumer_resumed", {{"queue", options_.queue}});
  paused_ = false;
  paused_gauge_.set(0);
}

}  // namespace stoa::messaging::detail
