#include "servicekit/core/unavailable.hpp"
#include "servicekit/messaging/tests/fixture.hpp"

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

}  // namespace
}  // namespace stoa::messaging
