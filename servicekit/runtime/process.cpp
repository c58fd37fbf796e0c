#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <ranges>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "servicekit/core/require.hpp"
#include "servicekit/runtime/admin_server.hpp"
#include "servicekit/runtime/periodic_tasks.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa::runtime {
namespace {

namespace net = boost::asio;
using Clock = std::chrono::steady_clock;
using Timer = net::basic_waitable_timer<Clock, net::wait_traits<Clock>, Executor>;

// The whole stop fits into the 10 s that an orchestrator grants before kill -9 comes. Most of it is
// for requests in hand: their own deadline is 5 s.
constexpr std::chrono::milliseconds drain_max{6'000};
constexpr std::chrono::milliseconds stop_max{8'500};
constexpr std::chrono::milliseconds flush_max{1'000};
constexpr std::chrono::milliseconds prepare_max{10'000};
constexpr unsigned last_resort_seconds = 10;
constexpr std::chrono::milliseconds lag_period{500};
constexpr int signal_exit_base = 128;  // a shell's convention for "ended by signal n"
constexpr auto or_error = net::as_tuple(net::use_awaitable_t<Executor>{});

void arm_last_resort() {
  std::signal(SIGALRM, [](int) { ::_exit(EXIT_FAILURE); });
  ::alarm(last_resort_seconds);
}

/// How late a timer of this loop fires: what every request on it waits in addition.
Task<> watch_lag(telemetry::Histogram lag) {
  while (true) {
    const Clock::time_point due = Clock::now() + lag_period;
    co_await sleep_for(lag_period);
    lag.observe(Clock::now() - due);
  }
}

/// How one step of the stop ended.
struct Ending {
  bool in_time = false;
  std::string failure{};
};

std::string text_of(const std::exception_ptr& failure) {
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Awaits `task`, at most until `deadline`; it goes on behind our back after that.
Task<Ending> within(Task<> task, Clock::time_point deadline) {
  const Executor loop = co_await net::this_coro::executor;
  // Shared with the task, which may outlive this wait.
  const auto done = std::make_shared<Timer>(loop, deadline);
  const auto ending = std::make_shared<Ending>();
  net::co_spawn(loop, std::move(task), [done, ending](const std::exception_ptr& failure) {
    ending->in_time = true;
    ending->failure = text_of(failure);
    done->cancel();
  });
  if (!ending->in_time) co_await done->async_wait(or_error);
  co_return *ending;
}

}  // namespace

struct Process::Impl {
  struct StopStep {
    std::string name;
    std::function<Task<>()> stop;
  };

  explicit Impl(ServiceConfig given)
      : config{std::move(given)},
        telemetry{config.telemetry},
        loops{config.loops},
        admin{loops.at(0), telemetry, config.admin_address, config.admin_port},
        periodic{loops.at(0), telemetry},
        signals{loops.at(0), SIGTERM, SIGINT} {}

  void await_signal(bool first);
  void announce(const http::Server& server);
  Task<> prepare(http::Authenticator* authenticator, const http::Server* server);
  Task<> stop();
  Task<> end_step(std::string name, Task<> task);

  Clock::time_point started = Clock::now();
  ServiceConfig config;
  telemetry::Telemetry telemetry;
  Loops loops;
  AdminServer admin;
  PeriodicTasks periodic;
  net::signal_set signals;
  std::vector<StopStep> stop_steps;
  http::Server* http = nullptr;  ///< while serve() runs
  Clock::time_point stop_deadline;
  bool is_overdue = false;
  bool is_stopping = false;
};

void Process::Impl::await_signal(bool first) {
  signals.async_wait([this, first](boost::system::error_code failure, int number) {
    if (failure) return;
    if (!first) ::_exit(signal_exit_base + number);
    await_signal(false);
    arm_last_resort();
    telemetry.info("stopping", {{"signal", std::int64_t{number}}});
    spawn(loops.at(0), "stop", stop());
  });
}

// Bounded: who needs no token shall be answered although user-service is away.
Task<> Process::Impl::prepare(http::Authenticator* authenticator, const http::Server* server) {
  const Ending ending = co_await within(authenticator->prepared(), started + prepare_max);
  if (!ending.in_time) telemetry.warn("ready_unprepared");
  announce(*server);
}

void Process::Impl::announce(const http::Server& server) {
  if (is_stopping) return;
  admin.become(AdminServer::State::ready);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
  telemetry.info("ready", {{"port", std::int64_t{server.port()}},
                           {"admin_port", std::int64_t{admin.port()}},
                           {"start_ms", std::int64_t{took.count()}}});
}

Task<> Process::Impl::end_step(std::string name, Task<> task) {
  const Ending ending = co_await within(std::move(task), stop_deadline);
  if (!ending.in_time) {
    is_overdue = true;
    telemetry.error("stop_overdue", {{"step", std::string_view{name}}});
  } else if (!ending.failure.empty()) {
    telemetry.warn("stop_failed", {{"step", std::string_view{name}},
                                   {"detail", std::string_view{ending.failure}}});
  }
}

Task<> Process::Impl::stop() {
  const Clock::time_point began = Clock::now();
  stop_deadline = began + stop_max;
  is_stopping = true;
  admin.become(AdminServer::State::draining);
  co_await end_step("http", http->drain(drain_max));
  co_await end_step("periodic tasks", periodic.stop());
  for (StopStep& step : stop_steps | std::views::reverse) {
    co_await end_step(step.name, step.stop());
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
  telemetry.info("stopped", {{"took_ms", std::int64_t{took.count()}}});
  // Drained only in part: requests still hold objects that serve()'s caller is about to destroy.
  if (took >= drain_max) is_overdue = true;
  loops.stop();
}

Process::Process(ServiceConfig config) {
  // A peer that is gone is an error code of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  impl_ = std::make_unique<Impl>(std::move(config));
}

Process::~Process() = default;

Loops& Process::loops() { return impl_->loops; }
telemetry::Telemetry& Process::telemetry() { return impl_->telemetry; }

void Process::on_stop(std::string_view name, std::function<Task<>()> stop) {
  impl_->stop_steps.push_back({.name = std::string{name}, .stop = std::move(stop)});
}

void Process::every(std::string_view name, std::chrono::milliseconds period,
                    std::function<Task<>(Context)> step) {
  impl_->periodic.add(name, period, std::move(step));
}

int Process::serve(http::Router router, http::Authenticator* authenticator) {
  require(impl_->http == nullptr, "a process serves once");
  http::Server server{impl_->loops, std::move(router), authenticator, impl_->telemetry,
                      impl_->config.server};
  impl_->http = &server;
  for (std::size_t i = 0; i < impl_->loops.count(); ++i) {
    spawn(impl_->loops.at(i), "loop lag",
          watch_lag(impl_->telemetry.histogram("stoa_loop_lag_seconds",
                                               "How late a timer of the loop fires",
                                               {{"loop", std::to_string(i)}})));
  }
  impl_->await_signal(true);
  server.start();
  if (authenticator == nullptr) {
    net::post(impl_->loops.at(0), [this, &server] { impl_->announce(server); });
  } else {
    spawn(impl_->loops.at(0), "prepare", impl_->prepare(authenticator, &server));
  }
  impl_->loops.run();

  impl_->telemetry.flush(flush_max);
  if (impl_->is_overdue) ::_exit(EXIT_FAILURE);
  return EXIT_SUCCESS;
}

}  // namespace stoa::runtime
