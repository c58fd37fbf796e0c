#include "services/user-service/commands.hpp"

#include <array>
#include <exception>
#include <optional>
#include <print>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "servicekit/async/cpu_pool.hpp"
#include "servicekit/async/if_available.hpp"
#include "servicekit/async/loops.hpp"
#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/user-service/adapters/pg_signing_keys.hpp"
#include "services/user-service/adapters/pg_user_store.hpp"
#include "services/user-service/adapters/pooled_credentials.hpp"
#include "services/user-service/adapters/signing_keys.hpp"
#include "services/user-service/app/accounts.hpp"
#include "services/user-service/app/sessions.hpp"
#include "services/user-service/config.hpp"

namespace stoa::user {
namespace {

using namespace std::chrono_literals;

constexpr int wrong_usage = 2;
constexpr auto command_deadline = 30s;
constexpr auto database_retry = 100ms;

Instant now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

struct DemoAccount {
  std::string_view email;
  std::string_view name;
  Role role;
};

constexpr std::array demo_accounts{
    DemoAccount{"shopper@demo.stoa.test", "Demo Shopper", Role::customer},
    DemoAccount{"merchant@demo.stoa.test", "Demo Merchant", Role::staff},
    DemoAccount{"admin@demo.stoa.test", "Demo Admin", Role::admin},
};

/// The service without its server.
struct Workbench {
  explicit Workbench(const StoreConfig& config)
      : database{loops,
                 {.dsn = config.database_dsn,
                  .application_name = std::string{service_name},
                  .pipelines = 1},
                 telemetry},
        keys{loops, stored_keys, signatures, config.master_key},
        credentials{{.passwords = passwords, .signatures = signatures}, keys, config.master_key} {
    database.start();
  }

  /// Runs `task` on the loop and returns what it returns.
  int run(Task<int> task) {
    std::exception_ptr failure;
    int code = 1;
    boost::asio::co_spawn(loops.at(0), std::move(task),
                          [&](std::exception_ptr thrown, int returned) {
                            failure = std::move(thrown);
                            code = returned;
                            loops.stop();
                          });
    loops.run();
    if (failure) std::rethrow_exception(failure);
    return code;
  }

  telemetry::Telemetry telemetry{
      {.service = std::string{service_name}, .log_level = "warn", .trace_ratio = 0}};
  Loops loops{1};
  CpuPool passwords{{.threads = 1, .queue_max = 4}};
  CpuPool signatures{{.threads = 1, .queue_max = 4}};
  postgres::Database database;
  PgUserStore store{database};
  PgSigningKeys stored_keys{database};
  SigningKeys keys;
  PooledCredentials credentials;
};

StoreConfig read_config() {
  runtime::Environment environment;
  auto config = StoreConfig::read(environment);
  environment.check_read();
  return config;
}

/// The connection is made in the background: the first answers may be that there is none.
Task<> reach_database(Workbench* bench, Context context) {
  while (true) {
    const bool reached = co_await if_available(bench->stored_keys.purge(context));
    if (reached) co_return;
    if (context.expired()) throw Unavailable{"the database does not answer"};
    co_await sleep_for(database_retry);
  }
}

Task<int> set_role(Workbench* bench, std::string email, Role role) {
  const Context context = Context{}.within(command_deadline);
  co_await reach_database(bench, context);
  const bool found = co_await bench->store.set_role(context, email, role);
  if (!found) {
    std::println(stderr, "grant: there is no account {}", email);
    co_return 1;
  }
  std::println("{} is {} from the next refresh or login on", email, name(role));
  co_return 0;
}

Task<> make_demo_account(Workbench* bench, Context context, DemoAccount account,
                         std::string password) {
  Accounts accounts{bench->store,
                    bench->credentials,
                    {.next_user = [] { return UserId{crypto::new_uuid()}; },
                     .next_session = [] { return SessionId{crypto::new_uuid()}; },
                     .now = now}};
  Registration wanted{.email = std::string{account.email},
                      .password = std::move(password),
                      .name = std::string{account.name}};
  const auto made = co_await accounts.register_user(context, std::move(wanted));
  if (!made && made.error().code != "email_taken") throw std::runtime_error{made.error().detail};
  // Nobody holds the tokens of the session that came with it.
  if (made) {
    co_await bench->store.end_sessions(context, made->user.id, std::nullopt, EndReason::logout_all);
  }
  const bool found =
      co_await bench->store.set_role(context, std::string{account.email}, account.role);
  require(found, "a demo account exists once it was made");
  std::println("{} ({})", account.email, name(account.role));
}

Task<int> make_demo_accounts(Workbench* bench, std::string password) {
  const Context context = Context{}.within(command_deadline);
  co_await reach_database(bench, context);
  for (const DemoAccount& account : demo_accounts) {
    co_await make_demo_account(bench, context, account, password);
  }
  co_return 0;
}

Task<int> rotate(Workbench* bench) {
  const Context context = Context{}.within(command_deadline);
  co_await reach_database(bench, context);
  const std::string key_id = co_await bench->keys.rotate(context);
  std::println("{} is published within 30 s and signs in 10 min", key_id);
  co_return 0;
}

}  // namespace

int grant(std::span<const std::string_view> arguments) {
  std::optional<std::string> email;
  std::optional<Role> role;
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    if (arguments[i] == "--email") email = normalised_email(arguments[i + 1]);
    if (arguments[i] == "--role") role = parse_role(arguments[i + 1]);
  }
  if (arguments.size() != 4 || !email || !role) {
    std::println(stderr, "usage: user-service grant --email ADDRESS --role customer|staff|admin");
    return wrong_usage;
  }
  Workbench bench{read_config()};
  return bench.run(set_role(&bench, std::move(*email), *role));
}

int demo(std::span<const std::string_view>) {
  runtime::Environment environment;
  const auto config = StoreConfig::read(environment);
  std::string password = environment.text("STOA_DEMO_PASSWORD", "stoa-demo-password");
  environment.demand(acceptable_password(password), "STOA_DEMO_PASSWORD",
                     "must have 10 to 128 characters");
  environment.check_read();
  Workbench bench{config};
  return bench.run(make_demo_accounts(&bench, std::move(password)));
}

int keys(std::span<const std::string_view> arguments) {
  if (arguments.size() != 1 || arguments[0] != "rotate") {
    std::println(stderr, "usage: user-service keys rotate");
    return wrong_usage;
  }
  Workbench bench{read_config()};
  return bench.run(rotate(&bench));
}

}  // namespace stoa::user
