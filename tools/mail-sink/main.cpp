#include <utility>

#include "servicekit/runtime/service.hpp"

#include "tools/mail-sink/http_api.hpp"
#include "tools/mail-sink/mailbox.hpp"
#include "tools/mail-sink/smtp_session.hpp"

namespace stoa::mail {
namespace {

constexpr std::uint16_t default_port = 8025;
constexpr std::uint16_t default_smtp_port = 2525;

int serve() {
  runtime::Environment environment;
  runtime::ServiceConfig config =
      runtime::ServiceConfig::read(environment, "mail-sink", default_port);
  config.loops = 1;  // the mailbox has no lock
  const auto smtp_port = static_cast<std::uint16_t>(
      environment.number("STOA_SMTP_PORT", default_smtp_port, 1, 65'535));
  const std::string journal = environment.text("STOA_MAIL_SINK_JOURNAL", "");
  const auto messages_max = static_cast<std::size_t>(
      environment.number("STOA_MAIL_SINK_MESSAGES_MAX", 100'000, 1, 10'000'000));
  environment.check();

  runtime::Process process{config};
  Mailbox mailbox{{.messages_max = messages_max}, journal};
  SmtpServer smtp{process.loops().at(0), config.server.address, smtp_port, mailbox};
  process.on_stop("smtp", [&smtp]() -> Task<> {
    smtp.stop();
    return []() -> Task<> { co_return; }();
  });
  HttpApi api{mailbox};
  http::Router router;
  api.mount(router);
  return process.serve(std::move(router), nullptr);
}

}  // namespace
}  // namespace stoa::mail

int main(int argc, char** argv) {
  const stoa::runtime::Program program{.name = "mail-sink",
                                       .default_port = stoa::mail::default_port,
                                       .serve = [] { return stoa::mail::serve(); }};
  return stoa::runtime::run_program(program, argc, argv);
}
