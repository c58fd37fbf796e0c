#include "servicekit/messaging/detail/retry_route.hpp"

#include <gtest/gtest.h>

namespace stoa::messaging::detail {
namespace {

using namespace std::chrono_literals;

const std::string queue = "payment-service.order-placed";
const Instant noon = *parse_rfc3339("2026-11-22T12:00:00.000Z");

Delivery with_headers(std::map<std::string, std::string> headers) {
  return {.tag = 1,
          .message_id = "evt_1",
          .type = "order.placed",
          .body = "{}",
          .headers = std::move(headers)};
}

// What the consumer receives when a rerouted message comes back.
Delivery returned(const Rerouted& rerouted) { return with_headers(rerouted.publication.headers); }

TEST(Reroute, RefusedThriceItDies) {
  const auto refusal = Verdict::refuse("no such order");

  const auto first = reroute(queue, with_headers({}), refusal, noon);
  const auto second = reroute(queue, returned(first), refusal, noon);
  const auto third = reroute(queue, returned(second), refusal, noon);
  const auto dead = reroute(queue, returned(third), refusal, noon);

  EXPECT_EQ(first.publication.routing_key, queue + ".retry-500ms");
  EXPECT_EQ(second.publication.routing_key, queue + ".retry-2s");
  EXPECT_EQ(third.publication.routing_key, queue + ".retry-8s");
  EXPECT_FALSE(third.dead);
  EXPECT_TRUE(dead.dead);
  EXPECT_EQ(dead.publication.routing_key, queue + ".dead");
  EXPECT_EQ(dead.publication.headers.at("x-stoa-reason"), "no such order");
  EXPECT_EQ(died_at(returned(dead)), noon);
}

TEST(Reroute, CarriesTheMessageUnchangedThroughTheServicesOwnExchange) {
  const auto rerouted = reroute(queue, with_headers({}), Verdict::refuse("x"), noon);

  EXPECT_EQ(rerouted.publication.exchange, "payment-service.retry");
  EXPECT_EQ(rerouted.publication.message_id, "evt_1");
  EXPECT_EQ(rerouted.publication.type, "order.placed");
  EXPECT_EQ(rerouted.publication.body, "{}");
}

TEST(Reroute, WaitsForADayAndNotLonger) {
  const auto waiting = Verdict::wait("order not here");
  const auto first = reroute(queue, with_headers({}), waiting, noon);
  const auto almost = reroute(queue, returned(first), waiting, noon + 24h - 1ms);
  const auto over = reroute(queue, returned(almost), waiting, noon + 24h);

  EXPECT_EQ(first.publication.routing_key, queue + ".wait-10s");
  EXPECT_EQ(almost.publication.routing_key, queue + ".wait-10s");
  EXPECT_EQ(over.publication.routing_key, queue + ".dead");
  EXPECT_EQ(over.publication.headers.at("x-stoa-reason"), "waited 24 h: order not here");
}

TEST(Reroute, WaitingKeepsTheCountOfRefusals) {
  const auto refused = reroute(queue, with_headers({}), Verdict::refuse("x"), noon);
  const auto waited = reroute(queue, returned(refused), Verdict::wait("y"), noon);
  const auto again = reroute(queue, returned(waited), Verdict::refuse("x"), noon);

  EXPECT_EQ(again.publication.routing_key, queue + ".retry-2s");
}

TEST(Reroute, CutsAReasonThatNoFrameWouldHold) {
  const auto rerouted =
      reroute(queue, with_headers({}), Verdict::refuse(std::string(200'000, 'x')), noon);

  EXPECT_EQ(rerouted.publication.headers.at("x-stoa-reason").size(), 1'000U);
}

TEST(Reroute, TakesAForgedCountForNone) {
  const auto rerouted =
      reroute(queue, with_headers({{"x-stoa-attempt", "many"}}), Verdict::refuse("x"), noon);

  EXPECT_EQ(rerouted.publication.routing_key, queue + ".retry-500ms");
}

TEST(Revive, ForgetsTheHistory) {
  const auto revived = revive(queue, with_headers({{"x-stoa-attempt", "3"}}));

  EXPECT_EQ(revived.routing_key, queue);
  EXPECT_TRUE(revived.headers.empty());
}

}  // namespace
}  // namespace stoa::messaging::detail
