#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/tests/fixture.hpp"
#include "servicekit/runtime/config.hpp"

namespace stoa::messaging {
namespace {

const std::string queue = "order-service.payment-results";

class RedriveTest : public MessagingTest {
 protected:
  void bury(std::uint16_t n, std::chrono::days age = {}) {
    Event event = event_number(n);
    event.time -= age;
    auto dead = publication(event, "order-service.retry", queue + ".dead");
    dead.headers = {{"x-stoa-reason", "why"}, {"x-stoa-dead-at", rfc3339(event.time)}};
    publish_all({dead});
  }
  std::size_t redrive_as_service(std::size_t count_max = 100) {
    return redrive(broker_for("order-service"), queue, count_max);
  }
};

TEST_F(RedriveTest, MovesDeadLettersBackOldestFirst) {
  for (std::uint16_t n = 0; n < 5; ++n) bury(n);

  EXPECT_EQ(redrive_as_service(3), 3U);

  detail::AmqpConnection connection{broker_for("operator"), 0, "test"};
  for (std::uint16_t n = 0; n < 3; ++n) {
    const auto message = connection.get(queue);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->message_id, EventId{event_number(n).id}.str());
    EXPECT_TRUE(message->headers.empty());
  }
  EXPECT_EQ(OperatorClient{}.length(queue + ".dead"), 2U);
}

TEST_F(RedriveTest, LeavesWhatTheInboxMayHaveForgotten) {
  bury(0, std::chrono::days{30});
  bury(1, std::chrono::days{28});
  auto undated = publication(event_number(2), "order-service.retry", queue + ".dead");
  undated.body = "{";
  publish_all({undated});

  EXPECT_EQ(redrive_as_service(), 1U);

  EXPECT_EQ(OperatorClient{}.length(queue), 1U);
  EXPECT_TRUE(eventually([] { return OperatorClient{}.length(queue + ".dead") == 2; }));
}

TEST_F(RedriveTest, MovesNothingWhenThereIsNothing) { EXPECT_EQ(redrive_as_service(), 0U); }

TEST_F(RedriveTest, SaysThatThereIsNoSuchQueue) {
  EXPECT_THROW(redrive(broker_for("order-service"), "order-service.unheard-of", 1), Unavailable);
}

TEST_F(RedriveTest, IsRefusedToAnotherService) {
  bury(0);

  EXPECT_THROW(redrive(broker_for("payment-service"), queue, 1), Unavailable);
}

class RedriveCommandTest : public RedriveTest {
 protected:
  static int run(const std::string& service, const std::vector<std::string_view>& arguments) {
    const BrokerConfig broker = broker_for(service);
    const std::map<std::string, std::string> settings{
        {"STOA_BROKER_ADDRESSES", broker.addresses.front()},
        {"STOA_BROKER_USER", broker.user},
        {"STOA_BROKER_PASSWORD", std::string{broker.password.reveal()}}};
    runtime::Environment environment{[&](const std::string& name) {
      const auto found = settings.find(name);
      return found == settings.end() ? std::nullopt : std::optional{found->second};
    }};
    return redrive_command(service, environment, arguments);
  }
};

TEST_F(RedriveCommandTest, MovesBackWhatDiedInEveryQueueOfItsService) {
  for (std::uint16_t n = 0; n < 3; ++n) bury(n);
  const std::string requested = "payment-service.order-cancel-requested";
  Event event = event_number(9);
  auto dead = publication(event, "payment-service.retry", requested + ".dead");
  dead.headers = {{"x-stoa-reason", "why"}, {"x-stoa-dead-at", rfc3339(event.time)}};
  publish_all({dead});

  EXPECT_EQ(run("order-service", {}), 0);
  EXPECT_EQ(OperatorClient{}.length(queue), 3U);
  EXPECT_EQ(OperatorClient{}.length(requested + ".dead"), 1U);
  EXPECT_EQ(run("payment-service", {}), 0);
  EXPECT_EQ(OperatorClient{}.length(requested), 1U);
}

TEST_F(RedriveCommandTest, MovesNoMoreThanItIsTold) {
  for (std::uint16_t n = 0; n < 3; ++n) bury(n);

  EXPECT_EQ(run("order-service", {queue, "2"}), 0);

  EXPECT_EQ(OperatorClient{}.length(queue), 2U);
}

TEST_F(RedriveCommandTest, RefusesArgumentsThatItDoesNotKnow) {
  bury(0);

  for (const std::vector<std::string_view>& arguments :
       std::vector<std::vector<std::string_view>>{{"payment-service.order-placed"},
                                                  {"order-service"},
                                                  {"5"},
                                                  {queue, "0"},
                                                  {queue, "-1"},
                                                  {queue, "1x"},
                                                  {queue, ""},
                                                  {queue, "1", "1"}}) {
    EXPECT_EQ(run("order-service", arguments), 2);
  }
  EXPECT_EQ(OperatorClient{}.length(queue), 0U);
}

}  // namespace
}  // namespace stoa::messaging
