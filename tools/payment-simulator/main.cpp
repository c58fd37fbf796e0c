#include <filesystem>
#include <optional>
#include <utility>

#include "servicekit/runtime/service.hpp"

#include "tools/payment-simulator/api.hpp"
#include "tools/payment-simulator/book.hpp"
#include "tools/payment-simulator/config.hpp"
#include "tools/payment-simulator/journal.hpp"
#include "tools/payment-simulator/webhooks.hpp"

namespace stoa::simulator {

Config Config::read() {
  runtime::Environment environment;
  Config config;
  config.service = runtime::ServiceConfig::read(environment, "payment-simulator", default_port);
  using std::chrono::milliseconds;
  config.service.loops = 1;  // the book has no lock
  config.provider_key = environment.secret("STOA_PROVIDER_KEY");
  config.journal = environment.text("STOA_JOURNAL", "payment-simulator.journal");
  const std::string url = environment.text("STOA_WEBHOOK_URL", "");
  config.webhooks = WebhookTarget::parse(url);
  auto secret = environment.optional_secret("STOA_PROVIDER_WEBHOOK_SECRET");
  config.stall = environment.milliseconds("STOA_STALL_MS", milliseconds{30'000}, milliseconds{0},
                                          milliseconds{50'000});
  config.slow = environment.milliseconds("STOA_SLOW_MS", milliseconds{1'500}, milliseconds{0},
                                         milliseconds{50'000});
  config.webhook_late = environment.milliseconds("STOA_WEBHOOK_LATE_MS", milliseconds{3'000},
                                                 milliseconds{0}, milliseconds{600'000});
  config.every_event =
      environment.one_of("STOA_WEBHOOK_EVENTS", "unanswered", {"unanswered", "all"}) == "all";
  environment.demand(url.empty() || config.webhooks, "STOA_WEBHOOK_URL",
                     "must be http://host:port/path");
  environment.demand(!config.webhooks || secret, "STOA_PROVIDER_WEBHOOK_SECRET",
                     "is needed with STOA_WEBHOOK_URL");
  environment.check();
  if (secret) config.webhook_secret = std::move(*secret);
  return config;
}

namespace {

int serve() {
  Config config = Config::read();
  Book book;
  replay(config.journal, [&](std::string_view line) { book.apply(from_line(line)); });

  runtime::Process process{config.service};
  process.telemetry().info("journal_replayed",
                           {{"records", static_cast<std::int64_t>(book.sequence())}});
  Journal journal{process.loops().at(0), config.journal, book.sequence()};
  std::optional<Webhooks> webhooks;
  if (config.webhooks) {
    webhooks.emplace(process.loops(), *config.webhooks, config.webhook_secret, process.telemetry());
  }
  Api api{book,
          journal,
          webhooks ? &*webhooks : nullptr,
          {.stall = config.stall,
           .slow = config.slow,
           .webhook_late = config.webhook_late,
           .every_event = config.every_event}};
  KeyHolder authenticator{config.provider_key};
  http::Router router;
  api.mount(router);
  return process.serve(std::move(router), &authenticator);
}

}  // namespace
}  // namespace stoa::simulator

int main(int argc, char** argv) {
  const stoa::runtime::Program program{.name = "payment-simulator",
                                       .default_port = stoa::simulator::default_port,
                                       .serve = [] { return stoa::simulator::serve(); }};
  return stoa::runtime::run_program(program, argc, argv);
}
