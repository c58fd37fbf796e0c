#include "services/api-gateway/routes.hpp"

#include <gtest/gtest.h>

namespace stoa::gateway {
namespace {

TEST(Routes, LeadEachPublicPathToItsService) {
  struct Case {
    std::string_view path;
    Upstream upstream;
  };
  for (const Case& one : {
           Case{"/api/v1/auth/login", Upstream::user},
           Case{"/api/v1/users/me", Upstream::user},
           Case{"/.well-known/jwks.json", Upstream::user},
           Case{"/api/v1/products", Upstream::product},
           Case{"/api/v1/products/prd_1", Upstream::product},
           Case{"/api/v1/variants/var_1/prices", Upstream::product},
           Case{"/api/v1/imports", Upstream::product},
           Case{"/api/v1/orders/ord_1/cancel", Upstream::order},
           Case{"/api/v1/admin/orders", Upstream::order},
           Case{"/api/v1/payments/pay_1/refunds", Upstream::payment},
           Case{"/api/v1/ledger/entries", Upstream::payment},
           Case{"/api/v1/webhooks/psp", Upstream::payment},
       }) {
    const auto destination = find_destination(one.path);
    ASSERT_TRUE(destination) << one.path;
    EXPECT_EQ(destination->upstream, one.upstream) << one.path;
  }
}

TEST(Routes, LeadNowhereElse) {
  for (const std::string_view path :
       {"/", "/api", "/api/v1", "/api/v1/", "/api/v1/productsx", "/api/v2/products",
        "/internal/v1/revocations", "/internal", "/api/v1/internal", "/metrics", "/readyz",
        "/api/v1/admin", "/api/v1/webhooks", "/API/v1/products", "*"}) {
    EXPECT_FALSE(find_destination(path)) << path;
  }
}

TEST(Routes, RefuseWhatTwoReadersCouldUnderstandDifferently) {
  for (const std::string_view path :
       {"/api/v1/products/../../../internal/v1/x", "/api/v1/products/..", "/api/v1/products/.",
        "/api/v1/products/./x", "/api/v1/products//x", "/api/v1/products/%2e%2e/x",
        "/api/v1/products/%2E%2E/x", "/api/v1/products/..%2f..%2finternal",
        "/api/v1/products/a%5cb", "/api/v1/products/a\\b", "/api/v1/products/x;y=z",
        "/api/v1/products/%2", "/api/v1/orders/%2F"}) {
    EXPECT_FALSE(find_destination(path)) << path;
  }
  EXPECT_TRUE(find_destination("/api/v1/products/a.b..c"));
  EXPECT_TRUE(find_destination("/api/v1/products/%C3%A9"));
}

TEST(Routes, OnlyAnImportIsLarge) {
  EXPECT_EQ(find_destination("/api/v1/imports")->body_max, import_body_max);
  EXPECT_EQ(find_destination("/api/v1/orders")->body_max, json_body_max);
}

TEST(Traffic, IsToldByMethodAndPath) {
  EXPECT_EQ(traffic_of("POST", "/api/v1/auth/register"), Traffic::auth);
  EXPECT_EQ(traffic_of("POST", "/api/v1/orders"), Traffic::place_order);
  EXPECT_EQ(traffic_of("POST", "/api/v1/orders/ord_1/cancel"), Traffic::ordinary);
  EXPECT_EQ(traffic_of("GET", "/api/v1/orders"), Traffic::ordinary);
  EXPECT_EQ(traffic_of("POST", "/api/v1/imports"), Traffic::import);
}

TEST(IdempotencyKey, MeansNothingForAuthAndWebhooks) {
  EXPECT_TRUE(honours_idempotency_key("/api/v1/orders"));
  EXPECT_FALSE(honours_idempotency_key("/api/v1/auth/register"));
  EXPECT_FALSE(honours_idempotency_key("/api/v1/webhooks/psp"));
}

}  // namespace
}  // namespace stoa::gateway
