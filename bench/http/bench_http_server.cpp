// The least a service can do, for wrk: bench-http-server PORT. What it costs is what
// servicekit/http costs; behind the gateway it is the trivial upstream.
#include <charconv>
#include <cstdint>
#include <string_view>

#include <boost/asio/signal_set.hpp>

#include "servicekit/http/detail/socket.hpp"
#include "servicekit/http/server.hpp"
#include "servicekit/telemetry/telemetry.hpp"

namespace stoa {
namespace {

constexpr std::string_view product =
    R"({"id":"prd_01h455vb4pex5vsknk084sn02q","name":"Mechanical keyboard",)"
    R"("description":"Hot-swappable, 75% layout","status":"active","variants":[]})";

Task<http::Response> show_product(Context, http::Request) {
  http::Response response = http::ok(std::string{product});
  response.add_header("cache-control", "public, max-age=5");
  co_return response;
}

Task<> stop_on_signal(http::Server* server, Loops* loops) {
  boost::asio::basic_signal_set<Executor> signals{loops->at(0).get_executor(), SIGTERM, SIGINT};
  co_await signals.async_wait(http::detail::as_result);
  co_await server->drain(std::chrono::seconds{5});
  loops->stop();
}

int serve(std::uint16_t port) {
  telemetry::Telemetry telemetry{{.service = "bench-http-server"}};
  Loops loops{1};
  http::Router router;
  router.get("/api/v1/products/{id}", http::anyone, show_product);
  http::Server server{loops, std::move(router), nullptr, telemetry, {.port = port}};
  server.start();
  spawn(loops.at(0), "stop", stop_on_signal(&server, &loops));
  loops.run();
  return 0;
}

}  // namespace
}  // namespace stoa

int main(int argc, char** argv) {
  std::uint16_t port = 0;
  const std::string_view text = argc > 1 ? argv[1] : "";
  std::from_chars(text.data(), text.data() + text.size(), port);
  return stoa::serve(port);
}
