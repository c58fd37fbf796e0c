// What a fact costs on its way: outbox row → relay → RabbitMQ → consumer → inbox row. One process
// does all of it, so its CPU time is that of both ends; bench/messaging/measure starts the servers.
#include <atomic>
#include <chrono>
#include <print>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "servicekit/async/loops.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/postgres/migrations.hpp"
#include "servicekit/runtime/config.hpp"
#include "servicekit/telemetry/process_metrics.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa::messaging {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* queue = "order-service.payment-results";

/// Claims the inbox row of each event, as every effect does, and remembers how long it was away.
class Inbox {
 public:
  explicit Inbox(postgres::Database& database) : database_{database} {}

  Task<std::vector<Verdict>> handle(Context context, std::vector<Event> events) {
    std::vector<Uuid> ids;
    ids.reserve(events.size());
    for (const Event& event : events) ids.push_back(event.id);
    postgres::Query query{.name = "bench.effect",
                          .read_only = false,
                          .sql =
                              "INSERT INTO inbox (consumer, event_id) "
                              "SELECT $1, id FROM unnest($2::uuid[]) AS id "
                              "ON CONFLICT DO NOTHING",
                          .params = {queue, postgres::array(ids)}};
    co_await database_.run(std::move(context), std::move(query));
    const auto now = std::chrono::system_clock::now();
    for (const Event& event : events) {
      latencies_.push_back(std::chrono::duration<double, std::milli>(now - event.time).count());
    }
    handled_ += events.size();
    co_return std::vector<Verdict>(events.size());
  }

  std::size_t handled() const { return handled_.load(); }
  double percentile(double share) {
    std::ranges::sort(latencies_);
    return latencies_[static_cast<std::size_t>(static_cast<double>(latencies_.size() - 1) * share)];
  }

 private:
  postgres::Database& database_;
  std::atomic<std::size_t> handled_{0};
  std::vector<double> latencies_;  // of the loop alone, until the end
};

class Bench {
 public:
  Bench(Secret<> dsn, std::string broker) : dsn_{std::move(dsn)}, broker_{std::move(broker)} {
    database_.start();
    relay_.start();
    consumer_.start();
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  ~Bench() {
    loops_.stop();
    thread_.join();
  }

  /// `count` facts in statements of `together`, one statement each `every`.
  void run(std::size_t count, std::size_t together, milliseconds every) {
    const double cpu = telemetry::cpu_seconds();
    const auto started = Clock::now();
    auto next = started;
    for (std::size_t written = 0; written < count; written += together) {
      write(together);
      next += every;
      std::this_thread::sleep_until(next);
    }
    while (inbox_.handled() < count) std::this_thread::sleep_for(milliseconds{1});
    const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
    const double per_message = (telemetry::cpu_seconds() - cpu) / static_cast<double>(count) * 1e6;
    std::println(
        "{} facts, {} a statement: {:.0f}/s, {:.1f} us CPU each (both ends), "
        "{:.1f} / {:.1f} ms from row to effect (p50 / p99)",
        count, together, static_cast<double>(count) / seconds, per_message, inbox_.percentile(0.5),
        inbox_.percentile(0.99));
  }

 private:
  BrokerConfig as(const std::string& user) const {
    return {.addresses = {broker_}, .user = user, .password = Secret<>{"bench"}};
  }
  void write(std::size_t count) {
    std::atomic<bool> done{false};
    spawn(loops_.at(0), "write", write_on_loop(count, &done));
    done.wait(false);
  }
  Task<> write_on_loop(std::size_t count, std::atomic<bool>* done) {
    postgres::Query query{
        .name = "bench.write",
        .read_only = false,
        .sql =
            "INSERT INTO outbox (id, type, subject, aggregate_version, data) "
            "SELECT gen_random_uuid(), 'payment.captured', 'ord_x', 1, "
            "jsonb_build_object('padding', repeat('x', 400)) FROM generate_series(1, $1)",
        .params = {static_cast<std::int64_t>(count)}};
    co_await database_.run(Context{}.within(milliseconds{10'000}), std::move(query));
    relay_.wake();
    done->store(true);
    done->notify_one();
  }

  Secret<> dsn_;
  std::string broker_;
  telemetry::Telemetry telemetry_{{.service = "bench-messaging", .log_level = "warn"}};
  Loops loops_{1};
  postgres::Database database_{loops_, {.dsn = dsn_, .application_name = "bench"}, telemetry_};
  OutboxRelay relay_{
      as("payment-service"), {.service = "payment-service", .dsn = dsn_}, telemetry_};
  Inbox inbox_{database_};
  Consumer consumer_{loops_,
                     as("order-service"),
                     {.queue = queue},
                     [this](Context context, std::vector<Event> events) {
                       return inbox_.handle(std::move(context), std::move(events));
                     },
                     telemetry_};
  std::thread thread_;
};

}  // namespace
}  // namespace stoa::messaging

int main() {
  using namespace stoa;
  runtime::Environment environment;
  const Secret<> dsn = environment.dsn("STOA_DATABASE");
  const std::string broker = environment.text("STOA_BROKER_ADDRESSES");
  environment.check_read();
  postgres::migrate(dsn, {});
  using std::chrono::milliseconds;
  {
    messaging::Bench{dsn, broker}.run(50'000, 500, milliseconds{0});
  }
  {
    messaging::Bench{dsn, broker}.run(2'000, 1, milliseconds{10});
  }
  return 0;
}
