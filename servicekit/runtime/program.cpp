#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <format>
#include <optional>
#include <print>
#include <ranges>

#include <unistd.h>

#include "servicekit/runtime/healthcheck.hpp"
#include "servicekit/runtime/service.hpp"
#include "servicekit/telemetry/log_line.hpp"
#include "servicekit/telemetry/version.hpp"

namespace stoa::runtime {
namespace {

constexpr int wrong_usage = 2;
constexpr std::chrono::milliseconds healthcheck_timeout{2'000};
constexpr std::chrono::milliseconds first_retry{100};
constexpr std::chrono::milliseconds last_retry{2'000};

#ifdef STOA_TESTING
constexpr std::string_view kind_of_build =
    "testing build: crash points and mutants are compiled in";
#else
constexpr std::string_view kind_of_build = "release build";
#endif

/// One line of the log's shape before there is a log, and for what a command has to say.
void say(const Program& program, telemetry::LogLevel level, std::string_view event,
         std::initializer_list<telemetry::Field> fields) {
  std::string line;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  telemetry::append_log_line(line, now, level, {.service = program.name, .instance = {}}, event,
                             nullptr, fields);
  std::print(stderr, "{}", line);
}

bool has_database(const Program& program) { return !program.migrations.migrations.empty(); }

/// Waits with SIGTERM and SIGINT held back; true when one of them came. A default action would not
/// do: the first process of a container has none.
bool signalled_within(std::chrono::milliseconds wait) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &ending, &before);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
  const timespec timeout{.tv_sec = seconds.count(),
                         .tv_nsec = std::chrono::nanoseconds{wait - seconds}.count()};
  const bool came = ::sigtimedwait(&ending, nullptr, &timeout) > 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return came;
}

std::optional<int> ask_version(const Program& program, const Secret<>& dsn, bool is_first) {
  try {
    return program.migrations.version(dsn);
  } catch (const std::exception& failure) {
    if (is_first) {
      say(program, telemetry::LogLevel::warn, "database_awaited",
          {{"detail", std::string_view{failure.what()}}});
    }
    return std::nullopt;
  }
}

/// Whether to serve: not on a schema older than this binary, and not after a signal.
std::optional<int> refusal(const Program& program) {
  Environment environment;
  const Secret<> dsn = environment.dsn("STOA_DATABASE");
  environment.check_read();
  auto pause = first_retry;
  std::optional<int> version = ask_version(program, dsn, true);
  while (!version) {
    if (signalled_within(pause)) return EXIT_SUCCESS;
    pause = std::min(2 * pause, last_retry);
    version = ask_version(program, dsn, false);
  }
  const int needed = program.migrations.migrations.back().number;
  if (*version >= needed) return std::nullopt;
  say(program, telemetry::LogLevel::error, "schema_too_old",
      {{"schema", std::int64_t{*version}},
       {"needed", std::int64_t{needed}},
       {"detail", std::string_view{"run the command migrate of this version first"}}});
  return EXIT_FAILURE;
}

bool is_database_configured() {
  // Not there: serve() will say so, along with everything else that is wrong.
  return std::getenv("STOA_DATABASE_DSN") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

int serve(const Program& program) {
  if (has_database(program) && is_database_configured()) {
    if (const auto refused = refusal(program)) return *refused;
  }
  return program.serve();
}

int migrate(const Program& program) {
  Environment environment;
  const Secret<> dsn = environment.dsn("STOA_MIGRATE");
  environment.check_read();
  program.migrations.migrate(dsn, program.migrations.migrations);
  // Asked, not assumed: after a rollback the schema is ahead of this binary, and stays there.
  const int schema = program.migrations.version(dsn);
  const int needed = program.migrations.migrations.back().number;
  say(program, telemetry::LogLevel::info, "migrated",
      {{"schema", std::int64_t{schema}}, {"needed", std::int64_t{needed}}});
  return EXIT_SUCCESS;
}

int healthcheck(const Program& program) {
  Environment environment;
  const ServiceConfig config = ServiceConfig::read(environment, program.name, program.default_port);
  environment.check_read();
  const bool ready = is_ready(config.admin_address, config.admin_port, healthcheck_timeout);
  std::println("{}", ready ? "ready" : "not ready");
  return ready ? EXIT_SUCCESS : EXIT_FAILURE;
}

void print_command(std::string_view name, std::string_view help) {
  std::println("  {:<14} {}", name, help);
}

int print_help(const Program& program) {
  std::println("{} {} ({})\n\n{} [command]\n", program.name, version(), kind_of_build,
               program.name);
  print_command("serve", "answer requests until SIGTERM (default)");
  if (has_database(program))
    print_command("migrate", "bring the schema of STOA_MIGRATE_DSN forward");
  print_command("healthcheck", "exit 0 when the process on the admin port is ready");
  print_command("version", "print it");
  for (const Command& command : program.commands) print_command(command.name, command.help);
  return EXIT_SUCCESS;
}

int dispatch(const Program& program, std::span<const std::string_view> arguments) {
  const std::string_view name = arguments.empty() ? "serve" : arguments.front();
  if (name == "serve") return serve(program);
  if (name == "migrate" && has_database(program)) return migrate(program);
  if (name == "healthcheck") return healthcheck(program);
  if (name == "help" || name == "--help") return print_help(program);
  if (name == "version" || name == "--version") {
    std::println("{} {} ({})", program.name, version(), kind_of_build);
    return EXIT_SUCCESS;
  }
  const auto command = std::ranges::find(program.commands, name, &Command::name);
  if (command != program.commands.end()) return command->run(arguments.subspan(1));
  std::println(stderr, "{} has no command {}; try help", program.name, name);
  return wrong_usage;
}

}  // namespace

int run_program(const Program& program, int argc, char** argv) {
  const std::span words{argv, static_cast<std::size_t>(argc)};
  const auto arguments =
      words | std::views::drop(1) | std::ranges::to<std::vector<std::string_view>>();
  try {
    return dispatch(program, arguments);
  } catch (const ConfigurationError& wrong) {
    for (const std::string& problem : wrong.problems()) {
      say(program, telemetry::LogLevel::error, "setting_refused",
          {{"detail", std::string_view{problem}}});
    }
  } catch (const std::exception& failure) {
    say(program, telemetry::LogLevel::error, "failed",
        {{"detail", std::string_view{failure.what()}}});
  }
  return EXIT_FAILURE;
}

}  // namespace stoa::runtime
