#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "servicekit/core/secret.hpp"
#include "servicekit/messaging/messaging.hpp"
#include "servicekit/postgres/migrations.hpp"
#include "servicekit/runtime/service.hpp"

#include "services/notification-service/adapters/smtp_mailer.hpp"

namespace stoa::notification {

inline constexpr std::uint16_t default_port = 3005;

/// Every setting of this service, beyond those of ServiceConfig.
struct Config {
  runtime::ServiceConfig service;
  Secret<> database_dsn;           ///< STOA_DATABASE_DSN, _PASSWORD(_FILE)
  messaging::BrokerConfig broker;  ///< STOA_BROKER_ADDRESSES, _USER, _PASSWORD(_FILE)
  Secret<> service_key;            ///< STOA_SERVICE_KEY(_FILE), PEM
  std::vector<std::string> users;  ///< STOA_USER_SERVICE
  /// STOA_SMTP_ADDRESS, STOA_MAIL_FROM, STOA_SHOP_NAME ("Stoa"), STOA_SMTP_STARTTLS (false),
  /// STOA_SMTP_CA (none), STOA_SMTP_USER (none), STOA_SMTP_PASSWORD(_FILE).
  SmtpConfig smtp;
  /// STOA_MAIL_CONNECTIONS (4; 1–64): mails on their way at a time.
  std::size_t mail_connections = 0;

  /// Throws runtime::ConfigurationError with every problem.
  static Config read();
  /// The part of a mail address after the '@'.
  std::string mail_domain() const;
};

std::span<const postgres::Migration> migrations();

}  // namespace stoa::notification
