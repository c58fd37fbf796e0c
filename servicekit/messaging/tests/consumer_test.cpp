#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/tests/fixture.hpp"

namespace stoa::messaging {
namespace {

const std::string queue = "order-service.payment-results";

class ConsumerTest : public MessagingTest {
 protected:
  std::unique_ptr<Consumer> consume(BatchHandler handler, Consumer::Options options = {}) {
    options.queue = queue;
    auto consumer = std::make_unique<Consumer>(loops_, broker_for("order-service"), options,
                                               std::move(handler), telemetry_);
    consumer->start();
    return consumer;
  }
  void stop(Consumer& consumer) {
    on_loop([&] { return consumer.stop(); });
  }
  std::size_t left(const std::string& suffix = "") {
    return OperatorClient{}.length(queue + suffix);
  }
  double events(const std::string& outcome) {
    return metric("stoa_consumer_events_total{outcome=\"" + outcome + "\",queue=\"" + queue +
                  "\"}");
  }
  double of_queue(const std::string& name) { return metric(name + "{queue=\"" + queue + "\"}"); }
};

std::vector<detail::Publication> numbered(std::uint16_t from, std::uint16_t to) {
  std::vector<detail::Publication> messages;
  for (std::uint16_t n = from; n < to; ++n) messages.push_back(publication(event_number(n)));
  return messages;
}

TEST_F(ConsumerTest, HandsOverWhatWasPublishedAndAcksIt) {
  Recorder recorder;
  const auto consumer = consume(recorder.handler());
  publish_all(numbered(0, 100), "payment-service");

  ASSERT_TRUE(eventually([&] { return recorder.count() == 100; }));
  stop(*consumer);

  EXPECT_EQ(left(), 0U);
  EXPECT_EQ(events("done"), 100);
  const Event first = recorder.seen().front();
  EXPECT_EQ(first.id, event_number(0).id);
  EXPECT_EQ(first.type, "payment.captured");
  EXPECT_EQ(first.subject, "ord_0");
  EXPECT_EQ(first.data, R"({"n":0})");
}

TEST_F(ConsumerTest, GathersWhatComesInCompany) {
  constexpr std::uint16_t count = 400;
  std::atomic<int> batches{0};
  Recorder recorder;
  const auto inner = recorder.handler();
  const auto consumer = consume([&](Context context, std::vector<Event> events) {
    ++batches;
    return inner(std::move(context), std::move(events));
  });
  publish_all(numbered(0, count), "payment-service");
  ASSERT_TRUE(eventually([&] { return recorder.count() == count; }));
  batches = 0;

  // One by one, but closely: the first few are handed over as they come, and then in company.
  detail::AmqpConnection connection{broker_for("payment-service"), 0, "test"};
  for (std::uint16_t n = count; n < 2 * count; ++n) {
    connection.publish(publication(event_number(n)));
    std::this_thread::sleep_for(500us);
  }
  connection.settle(10s);
  ASSERT_TRUE(eventually([&] { return recorder.count() == 2 * count; }));
  stop(*consumer);

  EXPECT_LT(batches, count / 4);
}

TEST_F(ConsumerTest, PutsTheSpanOfEachEventUnderTheTraceItCameWith) {
  Recorder recorder;
  const auto consumer = consume(recorder.handler());
  Event event = event_number(1);
  event.trace = *TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  publish_all({publication(event)});

  ASSERT_TRUE(eventually([&] { return recorder.count() == 1; }));
  const TraceContext seen = recorder.seen().front().trace;
  EXPECT_EQ(seen.trace_id, event.trace.trace_id);
  EXPECT_NE(seen.span_id, event.trace.span_id);
}

TEST_F(ConsumerTest, RefusedThriceItDiesAndWaitingItComesBack) {
  std::atomic<int> waits{0};
  Recorder recorder{[&](const Event& event) {
    if (event.subject == "ord_1") return Verdict::refuse("the rule says no");
    return waits++ == 0 ? Verdict::wait("its predecessor is not here") : Verdict::done();
  }};
  const auto consumer = consume(recorder.handler());
  publish_all(numbered(1, 3));

  ASSERT_TRUE(eventually([&] { return left(".dead") == 1 && waits == 2; }));
  stop(*consumer);

  EXPECT_EQ(recorder.by_subject(), (std::map<std::string, int>{{"ord_1", 4}, {"ord_2", 2}}));
  EXPECT_EQ(events("refuse"), 3);
  EXPECT_EQ(events("dead"), 1);
  EXPECT_EQ(events("wait"), 1);
  EXPECT_EQ(left(), 0U);
  detail::AmqpConnection connection{broker_for("operator"), 0, "test"};
  const auto dead = connection.get(queue + ".dead");
  ASSERT_TRUE(dead);
  EXPECT_EQ(dead->headers.at("x-stoa-reason"), "the rule says no");
  EXPECT_EQ(detail::read_envelope(dead->body)->subject, "ord_1");
}

TEST_F(ConsumerTest, TakesABatchWithAPoisonApartAndRefusesOnlyThePoison) {
  publish_all(numbered(0, 40));
  std::atomic<int> batches{0};
  Recorder recorder;
  const auto inner = recorder.handler();
  const BatchHandler poisoned = [&](Context context, std::vector<Event> events) {
    ++batches;
    for (const Event& event : events) {
      if (event.subject == "ord_7") throw std::runtime_error{"constraint broken"};
    }
    return inner(std::move(context), std::move(events));
  };
  const auto consumer = consume(poisoned);

  ASSERT_TRUE(eventually([&] { return recorder.count() >= 39 && events("refuse") == 1; }));
  stop(*consumer);

  const auto seen = recorder.by_subject();
  EXPECT_EQ(seen.size(), 39U);
  EXPECT_FALSE(seen.contains("ord_7"));
  EXPECT_EQ(events("done"), 39);
}

// A relay that was killed before its deletes publishes again what the queue may still hold.
TEST_F(ConsumerTest, NeverHandsTheSameEventOverTwiceInOneBatch) {
  publish_all(numbered(0, 10));
  publish_all(numbered(0, 10));
  std::mutex mutex;
  std::vector<std::set<std::string>> batches;
  Recorder recorder;
  const auto inner = recorder.handler();
  const auto consumer = consume([&](Context context, std::vector<Event> events) {
    std::set<std::string> subjects;
    for (const Event& event : events) EXPECT_TRUE(subjects.insert(event.subject).second);
    const std::lock_guard lock{mutex};
    batches.push_back(std::move(subjects));
    return inner(std::move(context), std::move(events));
  });

  ASSERT_TRUE(eventually([&] { return recorder.count() == 20; }));
  stop(*consumer);

  // Not one by one either.
  EXPECT_TRUE(std::ranges::any_of(batches, [](const auto& batch) { return batch.size() > 1; }));
  EXPECT_EQ(left(), 0U);
}

TEST_F(ConsumerTest, NeverShowsTheHandlerWhatItCannotRead) {
  Recorder recorder;
  Event newer = event_number(1);
  newer.version = 2;
  auto unreadable = publication(event_number(2));
  unreadable.body = "{";
  auto last_chance = unreadable;
  last_chance.headers = {{"x-stoa-attempt", "3"}};
  publish_all({publication(newer), unreadable, last_chance, publication(event_number(3))});
  const auto consumer = consume(recorder.handler());

  ASSERT_TRUE(eventually([&] { return left(".dead") == 1 && events("refuse") >= 2; }));
  ASSERT_TRUE(eventually([&] { return recorder.count() == 1; }));
  EXPECT_EQ(recorder.seen().front().subject, "ord_3");
}

TEST_F(ConsumerTest, CountsNothingWhileTheWorldFails) {
  std::atomic<int> failures{0};
  std::atomic<bool> world_fails{true};
  Recorder recorder;
  const auto inner = recorder.handler();
  const auto consumer = consume([&](Context context, std::vector<Event> events) {
    if (world_fails) {
      ++failures;
      throw Unavailable{"the database is away"};
    }
    return inner(std::move(context), std::move(events));
  });
  publish_all(numbered(0, 20));

  // More failures than a message that is refused would survive.
  ASSERT_TRUE(eventually([&] { return failures >= 5; }));
  EXPECT_EQ(of_queue("stoa_consumer_paused"), 1);
  world_fails = false;
  ASSERT_TRUE(eventually([&] { return recorder.count() == 20; }));
  stop(*consumer);

  EXPECT_EQ(of_queue("stoa_consumer_paused"), 0);
  EXPECT_EQ(events("refuse"), 0);
  EXPECT_EQ(left() + left(".dead") + left(".retry-500ms") + left(".wait-10s"), 0U);
}

TEST_F(ConsumerTest, MakesItsWayInPiecesWhenTheWholeIsTooMuch) {
  Recorder recorder;
  const auto inner = recorder.handler();
  publish_all(numbered(0, 32));
  const auto consumer = consume([&](Context context, std::vector<Event> events) {
    if (events.size() > 4) throw Unavailable{"not within the deadline"};
    return inner(std::move(context), std::move(events));
  });

  ASSERT_TRUE(eventually([&] { return events("done") == 32; }));
  EXPECT_EQ(recorder.count(), 32U);
}

TEST_F(ConsumerTest, WaitsForAQueueThatIsMissingAtStart) {
  OperatorClient{}.remove(queue);
  Recorder recorder;
  const auto consumer = consume(recorder.handler());
  ASSERT_TRUE(eventually([&] { return of_queue("stoa_consumer_queue_missing") == 1; }));

  OperatorClient{}.make(queue, "payment.captured");
  publish_all(numbered(0, 3));

  EXPECT_TRUE(eventually([&] { return recorder.count() == 3; }));
  EXPECT_EQ(of_queue("stoa_consumer_queue_missing"), 0);
  stop(*consumer);
  // The other keys come back with the next import.
  PrivateRabbitmq::shared().stop();
}

TEST_F(ConsumerTest, GoesOnAfterTheBrokerWasKilled) {
  Recorder recorder;
  const auto consumer = consume(recorder.handler());
  publish_all(numbered(0, 200));
  ASSERT_TRUE(eventually([&] { return recorder.count() >= 1; }));

  PrivateRabbitmq::shared().kill();
  ASSERT_TRUE(eventually([&] { return of_queue("stoa_consumer_connected") == 0; }));
  PrivateRabbitmq::shared().start();
  publish_all(numbered(200, 400));

  // At least once: what was not acknowledged may come again.
  EXPECT_TRUE(eventually([&] { return recorder.by_subject().size() == 400; }));
  stop(*consumer);
  EXPECT_EQ(left(), 0U);
}

TEST_F(ConsumerTest, NoticesAFrozenBroker) {
  Recorder recorder;
  const auto consumer = consume(recorder.handler());
  ASSERT_TRUE(eventually([&] { return of_queue("stoa_consumer_connected") == 1; }));

  PrivateRabbitmq::shared().freeze();
  const bool noticed = eventually([&] { return of_queue("stoa_consumer_connected") == 0; });
  PrivateRabbitmq::shared().thaw();

  ASSERT_TRUE(noticed);
  publish_all(numbered(0, 10));
  EXPECT_TRUE(eventually([&] { return recorder.by_subject().size() == 10; }));
}

TEST_F(ConsumerTest, StopFinishesTheBatchInHandAndLeavesTheRest) {
  std::promise<void> entered;
  std::atomic<bool> go_on{false};
  std::atomic<std::size_t> handled{0};
  struct Slow {
    static Task<std::vector<Verdict>> handle(std::size_t count, std::promise<void>* entered,
                                             std::atomic<bool>* go_on,
                                             std::atomic<std::size_t>* handled) {
      if (*handled == 0) entered->set_value();
      while (!*go_on) co_await sleep_for(5ms);
      *handled += count;
      co_return std::vector<Verdict>(count);
    }
  };
  publish_all(numbered(0, 20));
  const auto consumer = consume(
      [&](Context, std::vector<Event> events) {
        return Slow::handle(events.size(), &entered, &go_on, &handled);
      },
      {.queue = {}, .batch_max = 5});
  entered.get_future().get();
  auto stopped = std::async(std::launch::async, [&] { stop(*consumer); });
  EXPECT_EQ(stopped.wait_for(200ms), std::future_status::timeout);
  go_on = true;
  stopped.get();

  EXPECT_LE(handled, 5U);
  EXPECT_TRUE(eventually([&] { return left() == 20 - handled; }));
}

TEST_F(ConsumerTest, StopsAtOnceWhenItIsPaused) {
  const auto consumer = consume(
      [](Context, std::vector<Event>) -> Task<std::vector<Verdict>> { throw Unavailable{"away"}; });
  publish_all(numbered(0, 3));
  ASSERT_TRUE(eventually([&] { return of_queue("stoa_consumer_paused") == 1; }));

  stop(*consumer);

  EXPECT_TRUE(eventually([&] { return left() == 3; }));
}

TEST_F(ConsumerTest, TalksTlsToABrokerThatItCanVerify) {
  BrokerConfig broker = broker_for("payment-service");
  broker.addresses = {PrivateRabbitmq::shared().tls_address()};
  broker.ca_path = PrivateRabbitmq::shared().ca_path();
  detail::AmqpConnection connection{broker, 0, "test"};
  connection.publish(publication(event_number(1)));
  connection.settle(10s);

  EXPECT_EQ(connection.take_settled().front().outcome, detail::Settled::Outcome::confirmed);
}

TEST_F(ConsumerTest, RefusesABrokerThatItCannotVerify) {
  BrokerConfig broker = broker_for("payment-service");
  broker.ca_path = PrivateRabbitmq::shared().ca_path();
  const auto connect = [&] { detail::AmqpConnection{broker, 0, "test"}; };

  // The certificate names localhost, not the address.
  const std::string address = PrivateRabbitmq::shared().tls_address();
  broker.addresses = {"127.0.0.1" + address.substr(address.find(':'))};
  EXPECT_THROW(connect(), Unavailable);
  broker.addresses = {address};
  broker.ca_path = "/etc/ssl/certs/ca-certificates.crt";
  EXPECT_THROW(connect(), Unavailable);
  broker.ca_path = "/nowhere.pem";
  EXPECT_THROW(connect(), Unavailable);
}

TEST_F(ConsumerTest, MayNotReadTheQueueOfAnother) {
  detail::AmqpConnection connection{broker_for("user-service"), 0, "test"};

  EXPECT_THROW(connection.consume(queue, 1), Unavailable);
}

TEST_F(ConsumerTest, MayNotPublishTheFactsOfAnother) {
  detail::AmqpConnection connection{broker_for("order-service"), 0, "test"};
  connection.publish(publication(event_number(1)));

  EXPECT_THROW(connection.settle(10s), Unavailable);
}

}  // namespace
}  // namespace stoa::messaging
