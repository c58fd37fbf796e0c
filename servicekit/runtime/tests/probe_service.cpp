// A service as small as one can be: what process_test starts, signals and kills.
#include <chrono>
#include <stdexcept>
#include <string>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"
#include "servicekit/runtime/service.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

Task<http::Response> answer_slowly(Context, http::Request) {
  co_await sleep_for(500ms);
  co_return http::ok(R"({"slow":true})");
}

Task<http::Response> answer(Context, http::Request) {
  runtime::crash_point("probe.answer");
  if (runtime::mutant<"probe.answers_nothing">()) co_return http::no_content();
  co_return http::ok("{}");
}

Task<> log_stop(telemetry::Telemetry* telemetry, std::string name) {
  telemetry->info("stopped_part", {{"part", std::string_view{name}}});
  co_return;
}

Task<> never_ends() { co_await sleep_for(1h); }

Task<> fail_twice(telemetry::Telemetry* telemetry, int turn) {
  telemetry->info("turn", {{"number", std::int64_t{turn}}});
  if (turn == 3) throw Unavailable{"the world is gone"};
  if (turn == 4) throw std::runtime_error{"a wrong statement"};
  co_return;
}

/// Knows nobody, and is prepared after a while.
class SlowAuthenticator final : public http::Authenticator {
 public:
  explicit SlowAuthenticator(std::chrono::milliseconds takes) : takes_{takes} {}
  Task<Result<http::Identity>> authenticate(Context, std::string_view) override {
    co_return refuse(ErrorKind::unauthenticated, "token_invalid", "nobody is known here");
  }
  Task<> prepared() override { co_await sleep_for(takes_); }

 private:
  std::chrono::milliseconds takes_;
};

int serve() {
  runtime::Environment environment;
  const auto config = runtime::ServiceConfig::read(environment, "probe-service", 3099);
  const bool hangs = environment.flag("STOA_PROBE_HANGS", false);
  const std::chrono::milliseconds prepares{
      environment.number("STOA_PROBE_PREPARES_MS", 0, 0, 60'000)};
  environment.check();

  runtime::Process process{config};
  telemetry::Telemetry* telemetry = &process.telemetry();
  process.on_stop("first", [telemetry] { return log_stop(telemetry, "first"); });
  process.on_stop("second", [telemetry] { return log_stop(telemetry, "second"); });
  if (hangs) process.on_stop("hanging", [] { return never_ends(); });
  process.every("sweep", 20ms,
                [telemetry, turn = 0](Context) mutable { return fail_twice(telemetry, ++turn); });

  http::Router router;
  router.get("/slow", http::anyone, answer_slowly);
  router.get("/answer", http::anyone, answer);
  SlowAuthenticator authenticator{prepares};
  return process.serve(std::move(router), prepares == 0ms ? nullptr : &authenticator);
}

int echo(std::span<const std::string_view> arguments) { return static_cast<int>(arguments.size()); }

}  // namespace
}  // namespace stoa

int main(int argc, char** argv) {
  return stoa::runtime::run_program({.name = "probe-service",
                                     .default_port = 3099,
                                     .serve = stoa::serve,
                                     .commands = {{.name = "count",
                                                   .help = "exit with the number of arguments",
                                                   .run = stoa::echo}}},
                                    argc, argv);
}
