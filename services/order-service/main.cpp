#include <span>
#include <string>
#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/postgres/idempotency.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/order-service/adapters/http_api.hpp"
#include "services/order-service/adapters/http_payments.hpp"
#include "services/order-service/adapters/http_product_catalog.hpp"
#include "services/order-service/adapters/outbox_publisher.hpp"
#include "services/order-service/adapters/payment_results.hpp"
#include "services/order-service/adapters/pg_order_store.hpp"
#include "services/order-service/config.hpp"

namespace stoa::order {

std::span<const postgres::Migration> migrations();  // written by cmake/embed_migrations.py

namespace {

constexpr std::chrono::milliseconds purge_period{60'000};
constexpr std::int64_t purge_rows_max = 5'000;

Orders::Sources sources() {
  return {.next_id = [] { return OrderId{crypto::new_uuid()}; },
          .now =
              [] {
                return std::chrono::time_point_cast<std::chrono::milliseconds>(
                    std::chrono::system_clock::now());
              },
          .render_placed = render_placed,
          .render_cancelling = render_cancelling,
          .lost_event_id =
              [](const OrderId& order, PaymentResult result) {
                return crypto::name_based_uuid(
                    {"lost event", order.str(), std::to_string(std::to_underlying(result))});
              }};
}

Task<> sweep(Context context, Orders* orders) {
  std::size_t swept = Orders::sweep_batch;
  while (swept == Orders::sweep_batch) swept = co_await orders->sweep(context);
}

Task<> purge(Context context, postgres::Database* database) {
  for (bool more = true; more;) {
    auto keys = postgres::purge_idempotency_keys(purge_rows_max);
    const auto expired = co_await database->run(context, std::move(keys));
    auto inbox = postgres::purge_inbox(purge_rows_max);
    const auto forgotten = co_await database->run(context, std::move(inbox));
    more = expired.affected() == purge_rows_max || forgotten.affected() == purge_rows_max;
  }
}

int serve() {
  runtime::Environment environment;
  const Config config = Config::read(environment);
  runtime::Process process{config.service};
  Loops& loops = process.loops();
  telemetry::Telemetry& telemetry = process.telemetry();

  postgres::Database database{loops, config.database, telemetry};
  http::Client users{loops, {.name = "user-service", .addresses = config.user_service}, telemetry};
  http::Client products{
      loops, {.name = "product-service", .addresses = config.product_service}, telemetry};
  http::Client payments{
      loops, {.name = "payment-service", .addresses = config.payment_service}, telemetry};
  auth::ServiceTokens tokens{"order-service", config.service_key};
  auth::Verifier verifier{loops,
                          {.service = "order-service", .service_jwks_path = config.service_jwks},
                          users,
                          tokens,
                          telemetry};
  messaging::OutboxRelay relay{
      config.broker, {.service = "order-service", .dsn = config.database.dsn}, telemetry};

  HttpProductCatalog catalog{products, tokens};
  HttpPayments payment_states{payments, tokens};
  PgOrderStore store{database, telemetry, config.patience};
  OutboxPublisher publisher{relay};
  Orders orders{catalog, payment_states, store, publisher, sources()};
  HttpApi api{orders, Cursors{config.cursor_key}};
  PaymentResults results{orders};
  messaging::Consumer consumer{loops,
                               config.broker,
                               {.queue = std::string{PaymentResults::queue}},
                               [&results](Context context, std::vector<messaging::Event> events) {
                                 return results.handle(std::move(context), std::move(events));
                               },
                               telemetry};

  database.start();
  verifier.start();
  relay.start();
  consumer.start();
  process.on_stop("relay", [&relay] { return relay.stop(); });
  process.on_stop("consumer", [&consumer] { return consumer.stop(); });
  process.every("sweep", config.sweep_period,
                [&orders](Context context) { return sweep(std::move(context), &orders); });
  process.every("purge", purge_period,
                [&database](Context context) { return purge(std::move(context), &database); });

  http::Router router;
  api.mount(router);
  return process.serve(std::move(router), &verifier);
}

int redrive(std::span<const std::string_view> arguments) {
  runtime::Environment environment;
  return messaging::redrive_command(service_name, environment, arguments);
}

}  // namespace
}  // namespace stoa::order

int main(int argc, char** argv) {
  using namespace stoa;
  return runtime::run_program(
      {.name = order::service_name,
       .default_port = order::default_port,
       .serve = order::serve,
       .migrations = order::migrations(),
       .commands = {{.name = "redrive", .help = messaging::redrive_help, .run = order::redrive}}},
      argc, argv);
}
