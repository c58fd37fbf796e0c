#include "services/api-gateway/config.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::gateway {
namespace {

using Settings = std::map<std::string, std::string>;

Settings complete() {
  return {{"STOA_USER_SERVICE", "u:1"},       {"STOA_PRODUCT_SERVICE", "p1:1,p2:2"},
          {"STOA_ORDER_SERVICE", "o:1"},      {"STOA_PAYMENT_SERVICE", "y:1"},
          {"STOA_REDIS_ADDRESS", "r:6379"},   {"STOA_SERVICE_KEY", "pem"},
          {"STOA_SERVICE_JWKS", "/jwks.json"}};
}

Config read(Settings settings) {
  runtime::Environment environment{[settings = std::move(settings)](const std::string& name) {
    const auto at = settings.find(name);
    return at == settings.end() ? std::nullopt : std::optional{at->second};
  }};
  Config config = Config::read(environment);
  environment.check();
  return config;
}

TEST(Config, ItsDefaultsLetAHundredRegistrationsAndTwoHundredOrdersPass) {
  const Config config = read(complete());
  EXPECT_GE(config.limits.auth, 100);
  EXPECT_GE(config.limits.orders, 200);
  EXPECT_GE(config.limits.address, 1'000);
  EXPECT_EQ(config.product_service, (std::vector<std::string>{"p1:1", "p2:2"}));
  EXPECT_EQ(config.service.server.port, 3'000);
}

TEST(Config, DoesNotTrustAStrangersDeadline) {
  EXPECT_FALSE(read(complete()).service.server.trust_deadline_header);
}

TEST(Config, RefusesWhatIsNoOriginOrNoLimit) {
  for (const auto& [name, value] :
       Settings{{"STOA_CORS_ORIGINS", "*"}, {"STOA_LIMIT_USER_PER_MINUTE", "0"}}) {
    Settings settings = complete();
    settings[name] = value;
    EXPECT_THROW(read(settings), runtime::ConfigurationError) << name;
  }
  Settings settings = complete();
  settings["STOA_CORS_ORIGINS"] = "https://shop.example/path";
  EXPECT_THROW(read(settings), runtime::ConfigurationError);
  settings["STOA_CORS_ORIGINS"] = "https://shop.example,http://localhost:8000";
  EXPECT_EQ(read(settings).cors_origins.size(), 2U);
}

}  // namespace
}  // namespace stoa::gateway
