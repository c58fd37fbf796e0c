#include "services/payment-service/commands.hpp"

#include <chrono>
#include <cstdio>
#include <optional>
#include <print>
#include <string>
#include <utility>

#include "servicekit/async/if_available.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/payment-service/adapters/http_provider.hpp"
#include "services/payment-service/adapters/pg_cash_book.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"
#include "services/payment-service/app/reconciliation.hpp"
#include "services/payment-service/app/refunds.hpp"
#include "services/payment-service/config.hpp"

namespace stoa::payment {
namespace {

constexpr int exit_good = 0;
constexpr int exit_different = 1;
constexpr int exit_unable = 2;
constexpr std::chrono::milliseconds command_timeout{30'000};

/// What both commands need, on a loop of their own.
struct Tools {
  explicit Tools(CommandConfig config)
      : telemetry{{.service = "payment-service", .log_level = "warn"}},
        database{
            loops,
            {.dsn = std::move(config.database_dsn), .application_name = "payment-service-command"},
            telemetry},
        client{loops,
               {.name = "payment-provider", .addresses = std::move(config.provider_addresses)},
               telemetry},
        provider{client, std::move(config.provider_key), telemetry} {
    database.start();
  }

  /// Runs `work` to its end; empty when the world failed.
  std::optional<int> run(Task<int> work) {
    std::optional<int> code;
    spawn(loops.at(0), "command", run_and_stop(std::move(work), &code));
    loops.run();
    return code;
  }

  telemetry::Telemetry telemetry;
  Loops loops{1};
  postgres::Database database;
  http::Client client;
  HttpProvider provider;

 private:
  Task<> run_and_stop(Task<int> work, std::optional<int>* code) {
    *code = co_await if_available(std::move(work));
    loops.stop();
  }
};

int exit_code(std::optional<int> outcome) {
  if (outcome) return *outcome;
  std::println(stderr, "the database or the provider does not answer: nothing was decided");
  return exit_unable;
}

void print(const ReconcileReport& report) {
  for (const Difference& difference : report.differences) {
    std::println("{}", describe(difference));
  }
  std::println("{} lines, {} entries, {} on their way, {} differences, {} repaired", report.lines,
               report.entries, report.in_flight, report.differences.size(), report.repaired);
}

Task<int> compare_books(Tools* tools, bool repair) {
  PgCashBook book{tools->database};
  Reconciliation reconciliation{tools->provider, book, [](std::string_view text) {
                                  return crypto::name_based_uuid({"provider-key", text});
                                }};
  const Reconciliation::Options options{.repair = repair};
  auto report = co_await reconciliation.run(options);
  print(report);
  if (report.repaired > 0) {
    // What a repair that was cut short had left behind is explained by the one that finished it.
    const Reconciliation::Options look_again{};
    report = co_await reconciliation.run(look_again);
    print(report);
  }
  co_return report.differences.empty() ? exit_good : exit_different;
}

Task<int> settle(Tools* tools, RefundId id, std::string note) {
  PgPaymentStore store{tools->database, tools->telemetry, [] {}};
  Refunds refunds{tools->loops, store, tools->provider, [] { return 1.0; }, {}};
  Context context;
  context = context.within(command_timeout);
  const auto standing = co_await refunds.settle_by_hand(std::move(context), id, std::move(note));
  if (!standing) {
    std::println(stderr, "{}: {}", standing.error().code, standing.error().detail);
    co_return exit_different;
  }
  if (standing->kind == RefundOutcome::Kind::succeeded) {
    std::println("the provider had paid {} back after all; do not pay it again", id.str());
    co_return exit_different;
  }
  std::println("{} is settled by hand", id.str());
  co_return exit_good;
}

}  // namespace

int reconcile(std::span<const std::string_view> arguments) {
  const bool repair = arguments.size() == 1 && arguments[0] == "--repair";
  if (!arguments.empty() && !repair) {
    std::println(stderr, "usage: payment-service reconcile [--repair]");
    return exit_unable;
  }
  Tools tools{CommandConfig::read()};
  return exit_code(tools.run(compare_books(&tools, repair)));
}

int refunds(std::span<const std::string_view> arguments) {
  const auto id = arguments.size() == 3 ? RefundId::parse(arguments[1]) : std::nullopt;
  if (!id || arguments[0] != "settle") {
    std::println(stderr, "usage: payment-service refunds settle rfd_… NOTE");
    return exit_unable;
  }
  Tools tools{CommandConfig::read()};
  return exit_code(tools.run(settle(&tools, *id, std::string{arguments[2]})));
}

int redrive(std::span<const std::string_view> arguments) {
  runtime::Environment environment;
  return messaging::redrive_command("payment-service", environment, arguments);
}

}  // namespace stoa::payment
