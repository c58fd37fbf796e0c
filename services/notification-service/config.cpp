#include "services/notification-service/config.hpp"

#include "servicekit/runtime/config.hpp"

namespace stoa::notification {
namespace {

SmtpConfig smtp_of(runtime::Environment& environment) {
  SmtpConfig smtp;
  smtp.address = environment.text("STOA_SMTP_ADDRESS");
  environment.demand(smtp.address.contains(':'), "STOA_SMTP_ADDRESS", "must be host:port");
  smtp.sender.address = environment.text("STOA_MAIL_FROM");
  environment.demand(is_mail_address(smtp.sender.address), "STOA_MAIL_FROM",
                     "must be a plain mail address");
  smtp.sender.name = environment.text("STOA_SHOP_NAME", "Stoa");
  smtp.starttls = environment.flag("STOA_SMTP_STARTTLS", false);
  smtp.ca_path = environment.text("STOA_SMTP_CA", "");
  smtp.user = environment.text("STOA_SMTP_USER", "");
  environment.demand(smtp.user.empty() || smtp.starttls, "STOA_SMTP_USER",
                     "needs STOA_SMTP_STARTTLS=true: a password does not travel in the clear");
  if (auto password = environment.optional_secret("STOA_SMTP_PASSWORD")) {
    smtp.password = std::move(*password);
  }
  return smtp;
}

}  // namespace

Config Config::read() {
  runtime::Environment environment;
  Config config;
  config.service = runtime::ServiceConfig::read(environment, "notification-service", default_port);
  config.database_dsn = environment.dsn("STOA_DATABASE");
  config.broker = messaging::BrokerConfig::read(environment, "notification-service");
  config.service_key = environment.secret("STOA_SERVICE_KEY");
  // Every service is given it; this one answers nobody, so it verifies nobody.
  environment.text("STOA_SERVICE_JWKS", "");
  config.users = environment.addresses("STOA_USER_SERVICE");
  config.smtp = smtp_of(environment);
  config.mail_connections =
      static_cast<std::size_t>(environment.number("STOA_MAIL_CONNECTIONS", 4, 1, 64));
  environment.check();
  return config;
}

std::string Config::mail_domain() const {
  return smtp.sender.address.substr(smtp.sender.address.find('@') + 1);
}

}  // namespace stoa::notification
