#include <atomic>
#include <memory>

#include "servicekit/messaging/detail/read_floor.hpp"
#include "servicekit/messaging/tests/fixture.hpp"
#include "servicekit/postgres/database.hpp"
#include "servicekit/testing/private_postgres.hpp"

namespace stoa::messaging {
namespace {

using testing_support::PrivatePostgres;

const std::string results = "order-service.payment-results";
const std::string settled = "product-service.order-settled";

// Far beyond a test: whatever happens before it was not found by polling.
constexpr std::chrono::milliseconds never{600'000};

class OutboxRelayTest : public MessagingTest {
 protected:
  OutboxRelayTest() : dsn_{PrivatePostgres::shared().database({})} {}

  OutboxRelay::Options options(const std::string& service = "payment-service") {
    return {.service = service, .dsn = dsn_};
  }
  std::unique_ptr<OutboxRelay> relay(const OutboxRelay::Options& options,
                                     telemetry::Telemetry* telemetry = nullptr) {
    auto relay = std::make_unique<OutboxRelay>(broker_for(options.service), options,
                                               telemetry ? *telemetry : telemetry_);
    relay->start();
    return relay;
  }
  void stop(OutboxRelay& relay) {
    on_loop([&] { return relay.stop(); });
  }

  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }
  std::string rows() { return sql("SELECT count(*) FROM outbox"); }

  void write(int from, int to, const std::string& type = "payment.captured") {
    sql("INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent) "
        "SELECT gen_random_uuid(), '" +
        type +
        "', 'ord_' || n, n, jsonb_build_object('n', n), "
        "'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' "
        "FROM generate_series(" +
        std::to_string(from) + ", " + std::to_string(to - 1) + ") AS n");
  }
  std::unique_ptr<Consumer> consume(const std::string& queue, BatchHandler handler) {
    const std::string service = queue.substr(0, queue.find('.'));
    auto consumer =
        std::make_unique<Consumer>(loops_, broker_for(service), Consumer::Options{.queue = queue},
                                   std::move(handler), telemetry_);
    consumer->start();
    return consumer;
  }
  bool active() { return metric("stoa_outbox_active") == 1; }
  std::size_t length(const std::string& queue) { return OperatorClient{}.length(queue); }

  Secret<> dsn_;
};

TEST_F(OutboxRelayTest, PublishesEachRowAndDeletesIt) {
  write(0, 1'200);
  const auto relaying = relay(options());

  ASSERT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(results), 1'200U);
  EXPECT_EQ(metric("stoa_outbox_published_total"), 1'200);
  stop(*relaying);
}

TEST_F(OutboxRelayTest, TellsTheFactAsItWasWritten) {
  sql("INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent, created_at) "
      "VALUES ('01932f6e-7c00-7000-8000-000000000001', 'payment.captured', 'ord_1', 7, "
      "'{\"amount\": {\"amount\": 1299}}', "
      "'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '2026-11-22 12:00:00.123+00')");
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return length(results) == 1; }));

  detail::AmqpConnection connection{broker_for("order-service"), 0, "test"};
  const auto message = connection.get(results);
  const auto event = detail::read_envelope(message->body);
  ASSERT_TRUE(event) << event.error();
  EXPECT_EQ(message->message_id, EventId{event->id}.str());
  EXPECT_EQ(event->id.str(), "01932f6e-7c00-7000-8000-000000000001");
  EXPECT_EQ(event->source, "payment-service");
  EXPECT_EQ(event->type, "payment.captured");
  EXPECT_EQ(event->subject, "ord_1");
  EXPECT_EQ(event->aggregate_version, 7);
  EXPECT_EQ(rfc3339(event->time), "2026-11-22T12:00:00.123Z");
  EXPECT_EQ(event->data, R"({"amount":{"amount":1299}})");
  EXPECT_EQ(event->trace.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
}

TEST_F(OutboxRelayTest, IsWokenByACommitInItsProcess) {
  auto slow = options();
  slow.poll_min = slow.poll_max = never;
  const auto relaying = relay(slow);
  ASSERT_TRUE(eventually([&] { return active(); }));
  write(0, 1);
  relaying->wake();
  ASSERT_TRUE(eventually([&] { return rows() == "0"; }));

  write(1, 2);
  relaying->wake();
  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
}

TEST_F(OutboxRelayTest, FindsByPollingWhatNobodyWokeItFor) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return active(); }));

  write(0, 1);

  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
}

// Numbers are given before commits: a row of a slow transaction is below all that was read since.
TEST_F(OutboxRelayTest, FindsARowThatWasCommittedLongAfterItsNumberWasGiven) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return active(); }));
  sql("SELECT setval(pg_get_serial_sequence('outbox', 'seq'), 1000)");
  const auto floor_is_up = std::chrono::steady_clock::now() + 4 * detail::ReadFloor::late_max;
  int written = 0;
  ASSERT_TRUE(eventually([&] {
    write(written, written + 1);
    ++written;
    return std::chrono::steady_clock::now() > floor_is_up;
  }));
  ASSERT_TRUE(eventually([&] { return rows() == "0"; }));

  sql("INSERT INTO outbox (seq, id, type, subject, aggregate_version, data) "
      "OVERRIDING SYSTEM VALUE VALUES (7, gen_random_uuid(), 'payment.captured', 'late', 1, '{}')");

  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(results), static_cast<std::size_t>(written) + 1);
}

TEST_F(OutboxRelayTest, OneIsActiveAndTheOtherHandsOnItsWakeUps) {
  telemetry::Telemetry other{{.service = "other", .log_level = "off"}};
  auto slow = options();
  slow.poll_min = never;
  slow.poll_max = never;
  const auto first = relay(slow);
  ASSERT_TRUE(eventually([&] { return active(); }));
  const auto second = relay(slow, &other);
  write(0, 5);

  ASSERT_TRUE(eventually([&] {
    second->wake();
    return rows() == "0";
  }));

  EXPECT_NE(other.exposition().find("stoa_outbox_active 0"), std::string::npos);
  EXPECT_EQ(length(results), 5U);
}

TEST_F(OutboxRelayTest, AnotherTakesOverWhenTheActiveOneEnds) {
  telemetry::Telemetry other{{.service = "other", .log_level = "off"}};
  auto first = relay(options());
  ASSERT_TRUE(eventually([&] { return active(); }));
  const auto second = relay(options(), &other);
  stop(*first);
  first.reset();
  write(0, 10);

  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(results), 10U);
}

TEST_F(OutboxRelayTest, HoldsATypeWithoutItsQueueAndLetsTheOthersPass) {
  OperatorClient{}.remove(settled);
  write(0, 3, "order.paid");
  write(3, 6, "order.placed");
  const auto relaying = relay(options("order-service"));

  ASSERT_TRUE(eventually([&] { return rows() == "3"; }));
  // notification-service.events takes order.paid; alone, it would have hidden the missing queue.
  EXPECT_EQ(length("notification-service.events"), 0U);
  EXPECT_EQ(length("payment-service.order-placed"), 3U);
  EXPECT_GE(metric("stoa_outbox_held_types"), 1);

  OperatorClient{}.make(settled, "order.paid");
  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(settled), 3U);
  EXPECT_EQ(length("notification-service.events"), 3U);
  stop(*relaying);
  PrivateRabbitmq::shared().stop();
}

TEST_F(OutboxRelayTest, KeepsWhatTheBrokerReturns) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return metric("stoa_outbox_broker_connected") == 1; }));
  OperatorClient{}.remove(results);
  write(0, 3);

  ASSERT_TRUE(eventually([&] { return metric("stoa_outbox_returned_total") >= 1; }));
  EXPECT_EQ(rows(), "3");

  OperatorClient{}.make(results, "payment.captured");
  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(results), 3U);
  stop(*relaying);
  PrivateRabbitmq::shared().stop();
}

TEST_F(OutboxRelayTest, LosesNothingWhenTheBrokerIsKilledWhileItPublishes) {
  const auto relaying = relay(options());
  Recorder recorder;
  const auto consumer = consume(results, recorder.handler());
  ASSERT_TRUE(eventually([&] { return active(); }));
  write(0, 3'000);
  relaying->wake();
  ASSERT_TRUE(eventually([&] { return metric("stoa_outbox_published_total") >= 1; }));
  PrivateRabbitmq::shared().kill();
  write(3'000, 3'500);
  PrivateRabbitmq::shared().start();

  EXPECT_TRUE(eventually([&] { return recorder.by_subject().size() == 3'500; }));
  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
}

TEST_F(OutboxRelayTest, NoticesAFrozenBrokerAndDrainsWhenItIsBack) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return metric("stoa_outbox_broker_connected") == 1; }));
  PrivateRabbitmq::shared().freeze();
  write(0, 2'000);
  relaying->wake();
  const bool noticed = eventually([&] { return metric("stoa_outbox_broker_connected") == 0; });
  PrivateRabbitmq::shared().thaw();

  ASSERT_TRUE(noticed);
  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_GE(length(results), 2'000U);
}

TEST_F(OutboxRelayTest, GoesOnAfterTheDatabaseWasKilled) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return active(); }));
  PrivatePostgres::shared().kill();
  ASSERT_TRUE(eventually([&] { return !active(); }));
  PrivatePostgres::shared().start();
  write(0, 10);

  EXPECT_TRUE(eventually([&] { return rows() == "0"; }));
  EXPECT_EQ(length(results), 10U);
}

TEST_F(OutboxRelayTest, NoticesAFrozenDatabase) {
  const auto relaying = relay(options());
  ASSERT_TRUE(eventually([&] { return active(); }));
  PrivatePostgres::shared().freeze();
  const bool noticed = eventually([&] { return !active(); });
  PrivatePostgres::shared().thaw();

  ASSERT_TRUE(noticed);
  EXPECT_TRUE(eventually([&] { return active(); }));
}

TEST_F(OutboxRelayTest, AcceptsNoMoreWhenItIsTooFull) {
  PrivateRabbitmq::shared().stop();
  auto small = options();
  small.rows_max = 3;
  write(0, 3);
  const auto relaying = relay(small);
  ASSERT_TRUE(eventually([&] { return metric("stoa_outbox_rows") == 3; }));
  EXPECT_TRUE(relaying->accepting());

  write(3, 4);
  EXPECT_TRUE(eventually([&] { return !relaying->accepting(); }));
  PrivateRabbitmq::shared().start();
  EXPECT_TRUE(eventually([&] { return relaying->accepting(); }));
}

TEST_F(OutboxRelayTest, AcceptsNoMoreWhenItsOldestIsTooOld) {
  PrivateRabbitmq::shared().stop();
  write(0, 1);
  sql("UPDATE outbox SET created_at = now() - interval '6 hours 1 second'");
  const auto relaying = relay(options());

  EXPECT_TRUE(eventually([&] { return !relaying->accepting(); }));
  EXPECT_GE(metric("stoa_outbox_oldest_age_seconds"), 6 * 3600);
}

// An effect as the services write theirs: one statement claims the inbox row and acts on it.
class Effects {
 public:
  Effects(postgres::Database& database, std::string consumer)
      : database_{database}, consumer_{std::move(consumer)} {}

  BatchHandler handler() {
    return [this](Context context, std::vector<Event> events) {
      return apply(std::move(context), std::move(events));
    };
  }

 private:
  Task<std::vector<Verdict>> apply(Context context, std::vector<Event> events) {
    std::vector<Uuid> ids;
    std::vector<std::string> subjects;
    for (const Event& event : events) {
      ids.push_back(event.id);
      subjects.push_back(event.subject);
    }
    postgres::Query query{.name = "test.effect",
                          .read_only = false,
                          .sql = R"sql(
          WITH claimed AS (
            INSERT INTO inbox (consumer, event_id)
            SELECT $1, event_id FROM unnest($2::uuid[]) AS event_id
            ON CONFLICT DO NOTHING
            RETURNING event_id
          )
          INSERT INTO effects (subject)
          SELECT subject FROM unnest($2::uuid[], $3::text[]) AS told (event_id, subject)
          JOIN claimed USING (event_id)
        )sql",
                          .params = {consumer_, postgres::array(ids), postgres::array(subjects)}};
    co_await database_.run(std::move(context), std::move(query));
    co_return std::vector<Verdict>(events.size());
  }

  postgres::Database& database_;
  std::string consumer_;
};

// On its loop, which still runs.
Task<> end(std::unique_ptr<postgres::Database>& database) {
  database.reset();
  co_return;
}

TEST_F(OutboxRelayTest, HasEachEffectExactlyOnceThroughEveryFailure) {
  sql("CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, subject text NOT NULL)");
  auto database = std::make_unique<postgres::Database>(
      loops_, postgres::DatabaseConfig{.dsn = dsn_, .application_name = "test"}, telemetry_);
  on_loop([&]() -> Task<> {
    database->start();
    return sleep_for(1ms);
  });
  Effects effects{*database, results};
  auto first = relay(options());
  const auto second = relay(options());
  const auto one = consume(results, effects.handler());
  auto two = consume(results, effects.handler());
  const auto effected = [&] { return std::stoi(sql("SELECT count(*) FROM effects")); };

  write(0, 1'000);
  ASSERT_TRUE(eventually([&] { return effected() >= 200; }));
  PrivateRabbitmq::shared().kill();
  write(1'000, 2'000);
  PrivateRabbitmq::shared().start();
  ASSERT_TRUE(eventually([&] { return effected() >= 1'200; }));
  first.reset();
  write(2'000, 3'000);
  ASSERT_TRUE(eventually([&] { return effected() >= 2'200; }));
  PrivatePostgres::shared().kill();
  PrivatePostgres::shared().start();
  two.reset();
  ASSERT_TRUE(eventually([&] { return rows() == "0" && effected() >= 3'000; }));

  EXPECT_TRUE(eventually([&] { return length(results) == 0; }));
  EXPECT_EQ(sql("SELECT count(DISTINCT subject) FROM effects"), "3000");
  EXPECT_EQ(sql("SELECT count(*) FROM effects"), "3000");
  EXPECT_EQ(length(results + ".dead"), 0U);
  stop(*second);
  on_loop([&] { return one->stop(); });
  on_loop([&] { return end(database); });
}

}  // namespace
}  // namespace stoa::messaging
