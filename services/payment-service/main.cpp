#include <chrono>
#include <utility>

#include "servicekit/async/random_between.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/core/encoding.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/payment-service/adapters/http_api.hpp"
#include "services/payment-service/adapters/http_provider.hpp"
#include "services/payment-service/adapters/order_events.hpp"
#include "services/payment-service/adapters/pg_payment_store.hpp"
#include "services/payment-service/adapters/pg_upkeep.hpp"
#include "services/payment-service/app/charges.hpp"
#include "services/payment-service/app/provider_events.hpp"
#include "services/payment-service/app/refunds.hpp"
#include "services/payment-service/commands.hpp"
#include "services/payment-service/config.hpp"

namespace stoa::payment {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view service_name = "payment-service";
constexpr milliseconds charges_every{250};
constexpr milliseconds refunds_every{250};
constexpr milliseconds provider_events_every{1'000};
constexpr milliseconds measure_every{10'000};
constexpr milliseconds purge_every{60'000};
// Within the 10 s that a stop may take, and beyond one call to the provider.
constexpr milliseconds stop_timeout{4'000};

/// Retries after half to all of their pause: replicas do not come back in step.
double jitter() { return random_between(0.5, 1.0); }

http::ClientConfig provider_client(const Config& config) {
  return {.name = "payment-provider",
          .addresses = config.provider_addresses,
          .connections_max = config.provider_calls_max,
          .waiting_max = config.provider_calls_max,
          .timeout = config.provider_timeout};
}

Charges::Limits charge_limits(const Config& config) {
  return {.in_flight_max = config.provider_calls_max,
          .lease = config.lease,
          .call_timeout = config.provider_timeout};
}

messaging::Consumer::Options consumes(std::string_view queue) {
  return {.queue = std::string{queue}};
}

// Signing cursors needs a secret that all replicas share and nobody else has: derived from the
// service's own key rather than one more secret to hand out.
Cursors cursors(const Config& config) {
  return Cursors{Secret<>{hex(crypto::hmac_sha256(config.service_key, "payment-service cursors"))}};
}

/// The safety nets: what a lost wake-up, a dead replica or a lost message left behind is found by
/// one of these.
void schedule(runtime::Process& process, Charges& charges, Refunds& refunds,
              ProviderEvents& provider_events, PgUpkeep& upkeep) {
  process.every("charges", charges_every, [&](Context c) { return charges.sweep(std::move(c)); });
  process.every("refunds", refunds_every, [&](Context c) { return refunds.sweep(std::move(c)); });
  process.every("provider_events", provider_events_every,
                [&](Context c) { return provider_events.sweep(std::move(c)); });
  process.every("gauges", measure_every, [&](Context c) { return upkeep.measure(std::move(c)); });
  process.every("purge", purge_every, [&](Context c) { return upkeep.purge(std::move(c)); });
}

Task<> stop_workers(Charges* charges, Refunds* refunds) {
  co_await charges->stop(stop_timeout);
  co_await refunds->stop(stop_timeout);
}

Task<> stop_consumers(messaging::Consumer* placed, messaging::Consumer* cancelled) {
  co_await placed->stop();
  co_await cancelled->stop();
}

int serve() {
  const Config config = Config::read();
  runtime::Process process{config.service};
  Loops& loops = process.loops();
  telemetry::Telemetry& telemetry = process.telemetry();

  postgres::Database database{loops,
                              {.dsn = config.database_dsn,
                               .application_name = std::string{service_name},
                               .generic_plans = true},
                              telemetry};
  database.start();
  messaging::OutboxRelay relay{
      config.broker, {.service = std::string{service_name}, .dsn = config.database_dsn}, telemetry};
  PgPaymentStore store{database, telemetry, [&relay] { relay.wake(); }};

  http::Client provider_http{loops, provider_client(config), telemetry};
  HttpProvider provider{provider_http, config.provider_key, telemetry};
  Refunds refunds{loops,
                  store,
                  provider,
                  jitter,
                  {.lease = config.lease, .call_timeout = config.provider_timeout}};
  Charges charges{
      loops, store, provider, jitter, [&refunds] { refunds.wake(); }, charge_limits(config)};
  ProviderEvents provider_events{loops, store, charges, refunds};

  OrderEvents order_events{charges, refunds};
  messaging::Consumer placed{loops, config.broker, consumes("payment-service.order-placed"),
                             [&](Context context, std::vector<messaging::Event> batch) {
                               return order_events.placed(std::move(context), std::move(batch));
                             },
                             telemetry};
  messaging::Consumer cancelled{
      loops, config.broker, consumes("payment-service.order-cancel-requested"),
      [&](Context context, std::vector<messaging::Event> batch) {
        return order_events.cancel_requested(std::move(context), std::move(batch));
      },
      telemetry};

  http::Client users{loops, {.name = "user-service", .addresses = config.users}, telemetry};
  auth::ServiceTokens own_tokens{std::string{service_name}, config.service_key};
  auth::Verifier verifier{
      loops,
      {.service = std::string{service_name}, .service_jwks_path = config.service_jwks},
      users,
      own_tokens,
      telemetry};
  HttpApi api{refunds, store, cursors(config), config.webhook_secret,
              [&provider_events] { provider_events.wake(); }};
  http::Router router;
  api.mount(router);

  PgUpkeep upkeep{database, telemetry};
  schedule(process, charges, refunds, provider_events, upkeep);

  // Stopped in the reverse order: no new messages, then what is in hand, then its events.
  process.on_stop("relay", [&] { return relay.stop(); });
  process.on_stop("workers", [&] { return stop_workers(&charges, &refunds); });
  process.on_stop("consumers", [&] { return stop_consumers(&placed, &cancelled); });
  relay.start();
  verifier.start();
  placed.start();
  cancelled.start();
  return process.serve(std::move(router), &verifier);
}

}  // namespace
}  // namespace stoa::payment

int main(int argc, char** argv) {
  namespace payment = stoa::payment;
  const stoa::runtime::Program program{
      .name = "payment-service",
      .default_port = payment::default_port,
      .serve = [] { return payment::serve(); },
      .migrations = payment::migrations(),
      .commands = {
          {.name = "reconcile",
           .help = "[--repair]: the cash account against the provider's statement",
           .run = payment::reconcile},
          {.name = "refunds",
           .help = "settle rfd_… NOTE: a refund that was paid back by other means",
           .run = payment::refunds},
          {.name = "redrive", .help = stoa::messaging::redrive_help, .run = payment::redrive}}};
  return stoa::runtime::run_program(program, argc, argv);
}
