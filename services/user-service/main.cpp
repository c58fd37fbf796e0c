#include <chrono>
#include <utility>

#include "servicekit/async/cpu_pool.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/user-service/adapters/http_api.hpp"
#include "services/user-service/adapters/own_keys.hpp"
#include "services/user-service/adapters/pg_signing_keys.hpp"
#include "services/user-service/adapters/pg_user_store.hpp"
#include "services/user-service/adapters/pooled_credentials.hpp"
#include "services/user-service/adapters/signing_keys.hpp"
#include "services/user-service/app/accounts.hpp"
#include "services/user-service/app/sessions.hpp"
#include "services/user-service/commands.hpp"
#include "services/user-service/config.hpp"

namespace stoa::user {
namespace {

using namespace std::chrono_literals;

constexpr auto purge_period = 60s;
constexpr int purge_steps_max = 20;  // of one turn
constexpr std::size_t signatures_queue_max = 256;

Instant now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

UserId next_user() { return {crypto::new_uuid()}; }
SessionId next_session() { return {crypto::new_uuid()}; }

Task<> purge(Context context, PgUserStore* store, PgSigningKeys* keys) {
  co_await keys->purge(context);
  for (int step = 0; step < purge_steps_max; ++step) {
    const bool more = co_await store->purge(context);
    if (!more) co_return;
  }
}

std::vector<redis::RateLimiter::Policy> limits_of(const Config& config) {
  return {{.name = "login", .limit = config.login_limit, .window = 60s, .burst = 0},
          {.name = "register", .limit = config.registration_limit, .window = 60s, .burst = 0}};
}

int serve() {
  runtime::Environment environment;
  const Config config = Config::read(environment);

  runtime::Process process{config.service};
  Loops& loops = process.loops();
  auto& telemetry = process.telemetry();

  postgres::Database database{
      loops,
      {.dsn = config.store.database_dsn, .application_name = std::string{service_name}},
      telemetry};
  database.start();
  PgUserStore store{database};
  PgSigningKeys stored_keys{database};
  CpuPool passwords{{.threads = static_cast<std::size_t>(config.password_threads),
                     .queue_max = static_cast<std::size_t>(config.password_queue)}};
  CpuPool signatures{{.threads = 1, .queue_max = signatures_queue_max}};
  SigningKeys keys{loops, stored_keys, signatures, config.store.master_key};
  PooledCredentials credentials{
      {.passwords = passwords, .signatures = signatures}, keys, config.store.master_key};

  const auto on_reuse = [&telemetry](const Context& context, const ReuseSeen& seen) {
    const std::string session = seen.session.str();
    telemetry.warn(context, "refresh_token_reused", {{"session", std::string_view{session}}});
  };
  Accounts accounts{
      store, credentials, {.next_user = next_user, .next_session = next_session, .now = now}};
  Sessions sessions{store, credentials, {.next_id = next_session, .on_reuse = on_reuse}};

  OwnKeys own_keys{keys, store};
  auth::Verifier verifier{
      loops,
      {.service = std::string{service_name}, .service_jwks_path = config.service_jwks_path},
      own_keys,
      telemetry};
  verifier.start();
  redis::RateLimiter limiter{loops, config.redis, limits_of(config), telemetry};
  limiter.start();
  messaging::OutboxRelay relay{
      config.broker,
      {.service = std::string{service_name}, .dsn = config.store.database_dsn},
      telemetry};
  relay.start();
  process.on_stop("outbox relay", [&relay] { return relay.stop(); });
  process.every("purge", purge_period,
                [&](Context context) { return purge(std::move(context), &store, &stored_keys); });

  HttpApi api{{.accounts = accounts,
               .sessions = sessions,
               .store = store,
               .keys = keys,
               .limiter = limiter,
               .telemetry = telemetry,
               .on_fact = [&relay] { relay.wake(); }}};
  http::Router router;
  api.mount(router);
  return process.serve(std::move(router), &verifier);
}

}  // namespace
}  // namespace stoa::user

int main(int argc, char** argv) {
  using namespace stoa;
  return runtime::run_program(
      {.name = user::service_name,
       .default_port = user::default_port,
       .serve = user::serve,
       .migrations = user::migrations(),
       .commands = {{.name = "grant",
                     .help = "--email ADDRESS --role customer|staff|admin",
                     .run = user::grant},
                    {.name = "demo", .help = "make the three demo accounts", .run = user::demo},
                    {.name = "keys", .help = "rotate: a new signing key", .run = user::keys}}},
      argc, argv);
}
