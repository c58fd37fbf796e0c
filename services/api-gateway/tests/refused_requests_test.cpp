#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "services/api-gateway/tests/gateway_under_test.hpp"

namespace stoa::gateway {
namespace {

using testing_support::header_of;
using testing_support::status_of;

/// A request that never reaches the proxy, and its refusal.
struct Refused {
  std::string_view head;
  int status;
};

class RefusedAtTheDoor : public testing::TestWithParam<Refused> {};

TEST_P(RefusedAtTheDoor, IsCountedLikeAnyOther) {
  const GatewayUnderTest gateway{
      {.addresses = {"127.0.0.1:" + std::to_string(testing_support::closed_port())},
       .limits = {.address = 3}}};
  for (const std::string_view left : {"2", "1", "0"}) {
    const std::string answer = gateway.ask(GetParam().head);
    EXPECT_EQ(status_of(answer), GetParam().status);
    EXPECT_TRUE(header_of(answer, "ratelimit").contains(";r=" + std::string{left} + ";")) << answer;
  }
  const std::string beyond = gateway.ask(GetParam().head);
  EXPECT_EQ(status_of(beyond), 429);
  EXPECT_NE(header_of(beyond, "retry-after"), "");
  EXPECT_EQ(status_of(gateway.ask("GET /health HTTP/1.1")), 200) << "of our own pages, none is";
}

INSTANTIATE_TEST_SUITE_P(
    Requests, RefusedAtTheDoor,
    testing::Values(Refused{"GET /api/v1/products HTTP/1.1\r\nauthorization: Bearer made-up", 401},
                    Refused{"GET /api/v1/products HTTP/1.1\r\nauthorization: Basic made-up", 401},
                    Refused{"GET /no/such/path HTTP/1.1", 404},
                    Refused{"TRACE /api/v1/products HTTP/1.1", 405}));

}  // namespace
}  // namespace stoa::gateway
