#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "servicekit/async/cpu_pool.hpp"
#include "servicekit/core/secret.hpp"
#include "servicekit/core/time.hpp"
#include "servicekit/telemetry/telemetry.hpp"

#include "services/notification-service/adapters/mail_message.hpp"
#include "services/notification-service/app/ports.hpp"

namespace stoa::notification {

struct SmtpConfig {
  std::string address;  ///< "host:port"
  Sender sender;
  bool starttls = false;  ///< demanded, and the certificate verified
  std::string ca_path{};  ///< PEM of who signed it; empty: the CAs of the system
  std::string user{};     ///< empty: no AUTH
  Secret<> password{};
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds timeout{10'000};  ///< of one mail
};

/// libcurl on a CPU pool: it blocks. Connections stay open between mails, one for each thread of
/// the pool.
class SmtpMailer final : public Mailer {
 public:
  SmtpMailer(CpuPool& pool, SmtpConfig config, std::function<Instant()> now,
             telemetry::Telemetry& telemetry);
  ~SmtpMailer() override;

  Task<MailOutcome> send(Context context, Mail mail) override;

 private:
  class Session;
  class Sessions;

  CpuPool& pool_;
  std::chrono::milliseconds timeout_;
  telemetry::Telemetry& telemetry_;
  // Shared with the jobs: a stop that runs out of time ends before the last mail does.
  std::shared_ptr<Sessions> sessions_;
};

}  // namespace stoa::notification
