#include <utility>

#include "servicekit/auth/auth.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/api-gateway/config.hpp"
#include "services/api-gateway/cors.hpp"
#include "services/api-gateway/pages.hpp"
#include "services/api-gateway/proxy.hpp"
#include "services/api-gateway/rate_limit.hpp"

namespace stoa::gateway {
namespace {

http::ClientConfig upstream(std::string name, std::vector<std::string> addresses,
                            const UpstreamSettings& settings) {
  return {.name = std::move(name),
          .addresses = std::move(addresses),
          .connections_max = settings.connections_max,
          .waiting_max = settings.waiting_max,
          .timeout = settings.timeout};
}

int serve() {
  runtime::Environment environment;
  Config config = Config::read(environment);
  environment.check();

  const Cors cors{config.cors_origins};
  RateLimit* counted_by = nullptr;
  config.service.server.on_response = [&](const http::Request& request, http::Response& response) {
    counted_by->count_refused(request, response);
    cors.allow(request, response);
  };
  runtime::Process process{config.service};
  Loops& loops = process.loops();
  auto& telemetry = process.telemetry();

  http::Client users{loops, upstream("user-service", config.user_service, config.upstream),
                     telemetry};
  http::Client products{loops, upstream("product-service", config.product_service, config.upstream),
                        telemetry};
  http::Client orders{loops, upstream("order-service", config.order_service, config.upstream),
                      telemetry};
  http::Client payments{loops, upstream("payment-service", config.payment_service, config.upstream),
                        telemetry};

  auth::ServiceTokens own_tokens{"api-gateway", config.service_key};
  auth::Verifier verifier{loops,
                          {.service = "api-gateway", .service_jwks_path = config.service_jwks},
                          users,
                          own_tokens,
                          telemetry};
  redis::RateLimiter limiter{loops, config.redis, RateLimit::policies(config.limits), telemetry};
  RateLimit limits{limiter, config.limits};
  counted_by = &limits;
  Proxy proxy{loops,
              telemetry,
              {.clients = {&users, &products, &orders, &payments},
               .limits = &limits,
               .cors = &cors,
               .settings = config.upstream}};

  http::Router router;
  mount_pages(router);
  proxy.mount(router);
  verifier.start();
  limiter.start();
  return process.serve(std::move(router), &verifier);
}

}  // namespace
}  // namespace stoa::gateway

int main(int argc, char** argv) {
  return stoa::runtime::run_program(
      {.name = "api-gateway", .default_port = 3'000, .serve = stoa::gateway::serve}, argc, argv);
}
