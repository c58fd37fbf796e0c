#include "servicekit/runtime/periodic_tasks.hpp"

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/async/loops.hpp"
#include "servicekit/async/random_between.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa::runtime {
namespace {

namespace net = boost::asio;

// A step does a bounded batch; what is left comes with the next turn.
constexpr std::chrono::seconds step_timeout{5};
constexpr double jitter = 0.1;
constexpr auto or_error = net::as_tuple(net::use_awaitable_t<Executor>{});

std::chrono::milliseconds times(std::chrono::milliseconds period, double factor) {
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(static_cast<double>(period.count()) * factor)};
}

}  // namespace

struct PeriodicTasks::Entry {
  std::string name;
  std::chrono::milliseconds period;
  Step step;
  telemetry::Counter failures;
  Timer timer;
};

PeriodicTasks::PeriodicTasks(net::io_context& loop, telemetry::Telemetry& telemetry)
    : loop_{loop}, telemetry_{telemetry}, ended_{loop} {}

PeriodicTasks::~PeriodicTasks() = default;

void PeriodicTasks::add(std::string_view name, std::chrono::milliseconds period, Step step) {
  entries_.push_back(std::make_unique<Entry>(
      Entry{.name = std::string{name},
            .period = period,
            .step = std::move(step),
            .failures = telemetry_.counter("stoa_periodic_failures_total",
                                           "Turns of a periodic task that the world failed",
                                           {{"task", std::string{name}}}),
            .timer = Timer{loop_}}));
  Entry* entry = entries_.back().get();
  ++running_;
  spawn(loop_, entry->name, repeat(entry));
}

Task<> PeriodicTasks::repeat(Entry* entry) {
  entry->timer.expires_after(times(entry->period, random_between(0, 1)));
  while (!stopping_) {
    co_await entry->timer.async_wait(or_error);
    if (stopping_) break;
    co_await turn(entry);
    entry->timer.expires_after(times(entry->period, random_between(1 - jitter, 1 + jitter)));
  }
  if (--running_ == 0) ended_.cancel();
}

Task<> PeriodicTasks::turn(Entry* entry) {
  const auto span = telemetry_.span({}, entry->name, telemetry::SpanKind::internal);
  Context context;
  context.trace = span.context();
  context.deadline = std::chrono::steady_clock::now() + step_timeout;
  try {
    co_await entry->step(context);
  } catch (const Unavailable& failure) {
    entry->failures.add();
    telemetry_.warn(
        context, "periodic_task_failed",
        {{"task", std::string_view{entry->name}}, {"detail", std::string_view{failure.what()}}});
  } catch (const std::exception& failure) {
    // As for a request: one broken statement must not end a process that serves.
    entry->failures.add();
    telemetry_.error(
        context, "periodic_task_broken",
        {{"task", std::string_view{entry->name}}, {"detail", std::string_view{failure.what()}}});
  }
}

Task<> PeriodicTasks::stop() {
  stopping_ = true;
  for (const auto& entry : entries_) entry->timer.cancel();
  ended_.expires_at(std::chrono::steady_clock::time_point::max());
  while (running_ > 0) co_await ended_.async_wait(or_error);
}

}  // namespace stoa::runtime
