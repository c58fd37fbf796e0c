#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "servicekit/async/cpu_pool.hpp"
#include "servicekit/async/random_between.hpp"
#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/notification-service/adapters/http_contacts.hpp"
#include "services/notification-service/adapters/mail_templates.hpp"
#include "services/notification-service/adapters/pg_delivery_store.hpp"
#include "services/notification-service/adapters/shop_events.hpp"
#include "services/notification-service/adapters/smtp_mailer.hpp"
#include "services/notification-service/app/deliveries.hpp"
#include "services/notification-service/config.hpp"

namespace stoa::notification {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view service_name = "notification-service";
constexpr const char* queue = "notification-service.events";
constexpr milliseconds send_every{250};
constexpr milliseconds measure_every{10'000};
constexpr milliseconds purge_every{60'000};
// Within the 10 s that a stop may take.
constexpr milliseconds stop_timeout{5'000};

/// Retries after half to all of their pause: replicas do not come back in step.
double jitter() { return random_between(0.5, 1.0); }

/// Counts and logs the end of each attempt.
class DeliveryLog {
 public:
  DeliveryLog(telemetry::Telemetry& telemetry, PgDeliveryStore& store)
      : telemetry_{telemetry},
        store_{store},
        open_{telemetry.gauge("stoa_deliveries_open", "Mails that are still to be sent")} {}

  void observe(const Delivery& delivery, std::string_view outcome) {
    counter(delivery.kind, outcome).add();
    const std::string id = delivery.id.str();
    const Context context{.trace = delivery.trace};
    if (outcome == "failed") {
      telemetry_.error(context, "delivery_failed",
                       {{"delivery_id", id}, {"kind", name(delivery.kind)}});
    } else if (outcome == "unavailable" || outcome == "refused_for_now") {
      telemetry_.warn(context, "delivery_postponed",
                      {{"delivery_id", id}, {"kind", name(delivery.kind)}, {"outcome", outcome}});
    } else {
      telemetry_.info(context, "delivery_ended",
                      {{"delivery_id", id}, {"kind", name(delivery.kind)}, {"outcome", outcome}});
    }
  }

  Task<> measure(Context context) {
    const auto count = co_await store_.count_open(std::move(context));
    open_.set(static_cast<double>(count));
  }

 private:
  const telemetry::Counter& counter(NoticeKind kind, std::string_view outcome) {
    const auto key = std::pair{kind, std::string{outcome}};
    const auto found = counters_.find(key);
    if (found != counters_.end()) return found->second;
    auto made = telemetry_.counter("stoa_deliveries_total", "Mails by what became of them",
                                   {{"kind", std::string{name(kind)}}, {"outcome", key.second}});
    return counters_.emplace(key, made).first->second;
  }

  telemetry::Telemetry& telemetry_;
  PgDeliveryStore& store_;
  telemetry::Gauge open_;
  std::map<std::pair<NoticeKind, std::string>, telemetry::Counter> counters_;
};

Instant system_now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
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
  PgDeliveryStore store{database, [&relay] { relay.wake(); }};

  http::Client users{loops, {.name = "user-service", .addresses = config.users}, telemetry};
  auth::ServiceTokens tokens{std::string{service_name}, config.service_key};
  HttpContacts contacts{users, tokens};
  CpuPool pool{{.threads = config.mail_connections, .queue_max = config.mail_connections}};
  SmtpMailer mailer{pool, config.smtp, system_now, telemetry};
  MailTemplates templates{config.smtp.sender.name};
  DeliveryLog log{telemetry, store};
  Deliveries deliveries{
      loops,
      store,
      contacts,
      mailer,
      {.render = [&templates](
                     const Delivery& delivery,
                     const Contact& contact) { return templates.render(delivery, contact); },
       .observe = [&log](const Delivery& delivery,
                         std::string_view outcome) { log.observe(delivery, outcome); },
       .jitter = jitter},
      {.in_flight_max = config.mail_connections}};

  ShopEvents events{deliveries, config.mail_domain()};
  messaging::Consumer consumer{loops,
                               config.broker,
                               {.queue = queue},
                               [&events](Context context, std::vector<messaging::Event> batch) {
                                 return events.handle(std::move(context), std::move(batch));
                               },
                               telemetry};

  process.every("send_mails", send_every,
                [&](Context context) { return deliveries.send_due(std::move(context)); });
  process.every("gauges", measure_every,
                [&](Context context) { return log.measure(std::move(context)); });
  process.every("purge", purge_every,
                [&](Context context) { return store.purge(std::move(context)); });

  // Stopped in the reverse order: no new events, then the mails in hand, then their facts.
  process.on_stop("relay", [&] { return relay.stop(); });
  process.on_stop("deliveries", [&] { return deliveries.stop(stop_timeout); });
  process.on_stop("consumer", [&] { return consumer.stop(); });
  relay.start();
  consumer.start();
  return process.serve(http::Router{}, nullptr);
}

int redrive(std::span<const std::string_view> arguments) {
  runtime::Environment environment;
  return messaging::redrive_command("notification-service", environment, arguments);
}

}  // namespace
}  // namespace stoa::notification

int main(int argc, char** argv) {
  namespace notification = stoa::notification;
  const stoa::runtime::Program program{.name = "notification-service",
                                       .default_port = notification::default_port,
                                       .serve = [] { return notification::serve(); },
                                       .migrations = notification::migrations(),
                                       .commands = {{.name = "redrive",
                                                     .help = stoa::messaging::redrive_help,
                                                     .run = notification::redrive}}};
  return stoa::runtime::run_program(program, argc, argv);
}
