#include <chrono>
#include <memory>
#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/idempotency.hpp"

#include "services/product-service/adapters/cached_catalogue.hpp"
#include "services/product-service/adapters/http_catalogue.hpp"
#include "services/product-service/adapters/http_imports.hpp"
#include "services/product-service/adapters/http_orders.hpp"
#include "services/product-service/adapters/http_reservations.hpp"
#include "services/product-service/adapters/http_stock.hpp"
#include "services/product-service/adapters/order_settled.hpp"
#include "services/product-service/adapters/pg_catalogue_store.hpp"
#include "services/product-service/adapters/pg_import_store.hpp"
#include "services/product-service/adapters/pg_stock_store.hpp"
#include "services/product-service/config.hpp"

namespace stoa::product {

std::span<const postgres::Migration> migrations();

namespace {

using namespace std::chrono_literals;

constexpr auto queue = "product-service.order-settled";
constexpr auto sweep_period = 1s;
constexpr auto import_period = 200ms;
constexpr auto purge_period = 60s;
constexpr std::int64_t purged_rows_max = 1'000;
constexpr std::chrono::seconds ask_again_max{10};

Instant now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

Task<> sweep(Context context, Reservations* reservations, telemetry::Telemetry* telemetry) {
  const auto swept = co_await reservations->sweep(context);
  if (swept.asked == 0) co_return;
  telemetry->info(context, "reservations_swept",
                  {{"asked", static_cast<std::int64_t>(swept.asked)},
                   {"settled", static_cast<std::int64_t>(swept.settled)}});
}

Task<> work_on_imports(Context context, Imports* imports, telemetry::Telemetry* telemetry,
                       telemetry::Counter products) {
  const auto worked = co_await imports->work();
  if (!worked.found) co_return;
  products.add(static_cast<std::uint64_t>(worked.products));
  telemetry->info(
      context, "import_worked",
      {{"products", worked.products}, {"refused", worked.refused}, {"finished", worked.finished}});
}

Task<> purge(Context context, postgres::Database* database, Imports* imports) {
  co_await database->run(context, postgres::purge_idempotency_keys(purged_rows_max));
  co_await database->run(context, postgres::purge_inbox(purged_rows_max));
  co_await imports->discard_stale(context);
}

void schedule(runtime::Process& process, postgres::Database& database, Reservations& reservations,
              Imports& imports) {
  telemetry::Telemetry& telemetry = process.telemetry();
  const auto imported = telemetry.counter("stoa_imported_products_total",
                                          "Products of imports that were stored or refused");
  process.every("reservation sweep", sweep_period, [&](Context context) {
    return sweep(std::move(context), &reservations, &telemetry);
  });
  process.every("imports", import_period, [&, imported](Context context) {
    return work_on_imports(std::move(context), &imports, &telemetry, imported);
  });
  process.every("purge", purge_period,
                [&](Context context) { return purge(std::move(context), &database, &imports); });
}

std::unique_ptr<redis::Cache> start_cache(const Config& config, Loops& loops,
                                          telemetry::Telemetry& telemetry) {
  if (!config.redis) return nullptr;
  auto cache = std::make_unique<redis::Cache>(loops, *config.redis, telemetry);
  cache->start();
  return cache;
}

postgres::DatabaseConfig database_config(const Config& config) {
  return {.dsn = config.database_dsn, .application_name = std::string{service_name}};
}

auth::VerifierConfig verifier_config(const Config& config) {
  return {.service = std::string{service_name}, .service_jwks_path = config.service_jwks_path};
}

int serve() {
  runtime::Environment environment;
  const Config config = Config::read(environment);
  runtime::Process process{config.service};
  auto& loops = process.loops();
  auto& telemetry = process.telemetry();

  postgres::Database database{loops, database_config(config), telemetry};
  database.start();
  const std::unique_ptr<redis::Cache> cache = start_cache(config, loops, telemetry);
  auth::ServiceTokens tokens{std::string{service_name}, config.service_key};
  http::Client users{loops, {.name = "user-service", .addresses = config.user_service}, telemetry};
  http::Client orders_client{
      loops, {.name = "order-service", .addresses = config.order_service}, telemetry};
  auth::Verifier verifier{loops, verifier_config(config), users, tokens, telemetry};
  verifier.start();
  messaging::OutboxRelay relay{
      config.broker, {.service = std::string{service_name}, .dsn = config.database_dsn}, telemetry};
  relay.start();
  process.on_stop("outbox relay", [&relay] { return relay.stop(); });

  const std::function<void()> wake_relay = [&relay] { relay.wake(); };
  PgCatalogueStore catalogue_store{database, wake_relay};
  PgStockStore stock_store{database,
                           {.deadline = config.reservation_deadline,
                            .ask_again = std::min(ask_again_max, config.reservation_deadline)},
                           crypto::new_uuid,
                           wake_relay};
  PgImportStore import_store{database, wake_relay};
  HttpOrders orders{orders_client, tokens};

  CachedCatalogue cached{nullptr, cache.get()};
  Catalogue catalogue{
      catalogue_store,
      cached,
      {.next_uuid = crypto::new_uuid, .now = now, .render_created = render_created}};
  cached.read_from(catalogue);
  Stock stock{catalogue_store,
              stock_store,
              cached,
              {.next_uuid = crypto::new_uuid, .render = render_adjusted}};
  Reservations reservations{stock_store, orders, cached};
  Imports imports{import_store,
                  catalogue_store,
                  cached,
                  {.next_uuid = crypto::new_uuid, .now = now, .render_accepted = render_accepted}};

  OrderSettled settled{reservations, telemetry};
  messaging::Consumer consumer{loops,
                               config.broker,
                               {.queue = queue},
                               [&settled](Context context, std::vector<messaging::Event> events) {
                                 return settled.handle(std::move(context), std::move(events));
                               },
                               telemetry};
  consumer.start();
  process.on_stop("order-settled consumer", [&consumer] { return consumer.stop(); });

  schedule(process, database, reservations, imports);

  const Cursors cursors{config.cursor_key};
  CatalogueApi catalogue_api{catalogue, cached, cursors, config.default_currency};
  StockApi stock_api{stock, cursors};
  ImportApi import_api{imports};
  ReservationApi reservation_api{reservations, telemetry};
  http::Router router;
  const auto mount = [&router](auto&... apis) { (apis.mount(router), ...); };
  mount(catalogue_api, stock_api, import_api, reservation_api);
  return process.serve(std::move(router), &verifier);
}

int redrive(std::span<const std::string_view> arguments) {
  runtime::Environment environment;
  return messaging::redrive_command(service_name, environment, arguments);
}

}  // namespace
}  // namespace stoa::product

int main(int argc, char** argv) {
  using namespace stoa;
  return runtime::run_program(
      {.name = product::service_name,
       .default_port = product::default_port,
       .serve = product::serve,
       .migrations = product::migrations(),
       .commands = {{.name = "redrive", .help = messaging::redrive_help, .run = product::redrive}}},
      argc, argv);
}
