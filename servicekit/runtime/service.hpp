#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "servicekit/async/loops.hpp"
#include "servicekit/http/server.hpp"
#include "servicekit/postgres/migrations.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::runtime {

/// What every service reads from its environment.
///   STOA_ADDRESS (0.0.0.0) STOA_PORT STOA_ADMIN_ADDRESS STOA_ADMIN_PORT STOA_LOOPS (1)
///   STOA_LOG_LEVEL STOA_TRACE_RATIO STOA_OTLP_URL STOA_INSTANCE STOA_TRUSTED_PROXIES
struct ServiceConfig {
  http::ServerConfig server;
  std::string admin_address;
  std::uint16_t admin_port = 0;
  std::size_t loops = 1;
  telemetry::TelemetryConfig telemetry;

  /// `default_port`: 3000–3005; the admin port's default is 1000 more.
  static ServiceConfig read(Environment& environment, std::string_view service,
                            std::uint16_t default_port);
};

/// Starts and stops a process in order. A service's run():
///
///   Process process{config};                      // log, metrics, loops, admin port
///   … build objects on process.loops() …
///   process.on_stop("consumer", [&] { return consumer.stop(); });   // in reverse order
///   return process.serve(std::move(router), &authenticator);
class Process {
 public:
  explicit Process(ServiceConfig config);
  ~Process();

  Loops& loops();
  telemetry::Telemetry& telemetry();

  /// Called on loop 0 after the HTTP server has drained, last registered first.
  void on_stop(std::string_view name, std::function<Task<>()> stop);

  /// Runs `step` every `period` on loop 0 (± 10 %) until the stop; what it throws is logged
  /// (Unavailable as a warning, anything else as an error) and counted
  /// (stoa_periodic_failures_total{task}), and the next turn comes. For sweeps and purges.
  void every(std::string_view name, std::chrono::milliseconds period,
             std::function<Task<>(Context)> step);

  /// Serves until SIGTERM or SIGINT: /readyz turns 503 → drain (≤ 10 s in all) → on_stop → flush →
  /// returns 0. Logs one line {"event":"ready","port":…} when it accepts and can judge tokens;
  /// waits for the latter at most 10 s. A second signal, or a stop that does not end in time, ends
  /// the process at once. Called once.
  int serve(http::Router router, http::Authenticator* authenticator);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Command {
  std::string_view name;
  std::string_view help;
  std::function<int(std::span<const std::string_view> arguments)> run;
};

/// What a service's schema needs. Names the functions of servicekit/postgres only where a service
/// has migrations, so that the others need not link libpq.
struct DatabaseSchema {
  DatabaseSchema() = default;
  DatabaseSchema(std::span<const postgres::Migration> all)  // NOLINT(google-explicit-constructor)
      : migrations{all}, migrate{&postgres::migrate}, version{&postgres::schema_version} {}

  std::span<const postgres::Migration> migrations{};
  void (*migrate)(const Secret<>&, std::span<const postgres::Migration>) = nullptr;
  int (*version)(const Secret<>&) = nullptr;
};

struct Program {
  std::string_view name;  ///< "order-service"
  std::uint16_t default_port;
  std::function<int()> serve;
  /// Empty for a service without a database. Adds the command `migrate` (STOA_MIGRATE_DSN) and
  /// refuses to serve on an older schema (STOA_DATABASE_DSN). A database that does not answer is
  /// waited for.
  DatabaseSchema migrations{};
  std::vector<Command> commands{};
};

/// Dispatches `<program> [serve|migrate|healthcheck|version|help|own commands]`; `healthcheck` asks
/// /readyz on the admin port and exits 0 or 1. Turns a std::exception into log lines on standard
/// error and exit code 1; an unknown command is 2.
int run_program(const Program& program, int argc, char** argv);

}  // namespace stoa::runtime
