// STARTTLS and AUTH against a server with a private CA. A server or a setting that is wrong says
// nothing of the mail: it stays to be sent.
#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

#include "services/notification-service/adapters/smtp_mailer.hpp"
#include "services/notification-service/tests/tls_smtp_server.hpp"

namespace stoa::notification {
namespace {

using namespace std::chrono_literals;

class SmtpTlsTest : public testing::Test {
 protected:
  struct Client {
    std::string ca_path;
    std::string user = "stoa";
    std::string password = "right";
  };

  void connect(const TlsSmtpServer& server, const Client& client) {
    mailer_ = std::make_unique<SmtpMailer>(
        pool_,
        SmtpConfig{.address = server.address(),
                   .sender = {.address = "shop@stoa.test", .name = "Stoa"},
                   .starttls = true,
                   .ca_path = client.ca_path,
                   .user = client.user,
                   .password = Secret<>{client.password}},
        [] { return Instant{}; }, telemetry_);
  }

  MailOutcome send() {
    Mail mail{.message_id = "<dlv_1@stoa.test>",
              .to = {.email = "ann@example.test", .name = "Ann"},
              .subject = "A mail",
              .text = "text\n",
              .html = "<p>"};
    return testing_support::run_on(loops_, mailer_->send(Context{}.within(10s), std::move(mail)));
  }

  PrivateCertificate trusted_{"IP:127.0.0.1"};
  telemetry::Telemetry telemetry_{{.service = "test", .log_level = "off"}};
  Loops loops_{1};
  CpuPool pool_{{.threads = 1, .queue_max = 4}};
  std::unique_ptr<SmtpMailer> mailer_;
};

TEST_F(SmtpTlsTest, DeliversOverTlsAsTheUserItIs) {
  TlsSmtpServer server{trusted_, {}};
  connect(server, {.ca_path = trusted_.path()});

  EXPECT_EQ(send().kind, MailOutcome::Kind::sent);
  ASSERT_EQ(server.mails().size(), 1U);
  EXPECT_TRUE(server.mails()[0].contains("Message-ID: <dlv_1@stoa.test>\r\n"));
  // Before TLS: the greeting and the wish for TLS, nothing else.
  ASSERT_EQ(server.plain_commands().size(), 2U);
  EXPECT_TRUE(server.plain_commands()[0].starts_with("EHLO"));
  EXPECT_EQ(server.plain_commands()[1], "STARTTLS\r\n");
}

TEST_F(SmtpTlsTest, TellsNothingToAServerWhoseCertificateNobodySigned) {
  const PrivateCertificate other{"IP:127.0.0.1"};
  TlsSmtpServer server{other, {}};
  connect(server, {.ca_path = trusted_.path()});
  EXPECT_THROW(send(), Unavailable);
  // Nor when the CAs of the system are asked.
  connect(server, {.ca_path = ""});
  EXPECT_THROW(send(), Unavailable);
  EXPECT_TRUE(server.mails().empty());
}

TEST_F(SmtpTlsTest, TellsNothingToAServerOfAnotherName) {
  const PrivateCertificate other{"DNS:mail.test"};
  TlsSmtpServer server{other, {}};
  connect(server, {.ca_path = other.path()});

  EXPECT_THROW(send(), Unavailable);
  EXPECT_TRUE(server.mails().empty());
}

TEST_F(SmtpTlsTest, DoesNotGoOnWithoutTlsWhenTheServerHasNone) {
  TlsSmtpServer server{trusted_, {.starttls = false}};
  connect(server, {.ca_path = trusted_.path()});

  EXPECT_THROW(send(), Unavailable);
  for (const std::string& command : server.plain_commands()) {
    EXPECT_FALSE(command.starts_with("AUTH") || command.starts_with("MAIL")) << command;
  }
}

TEST_F(SmtpTlsTest, AWrongPasswordIsNotTheMailsFault) {
  TlsSmtpServer server{trusted_, {}};
  connect(server, {.ca_path = trusted_.path(), .password = "wrong"});
  EXPECT_THROW(send(), Unavailable);
  // And a server that wants a user gets none: it refuses at MAIL.
  connect(server, {.ca_path = trusted_.path(), .user = ""});
  EXPECT_THROW(send(), Unavailable);
  EXPECT_TRUE(server.mails().empty());

  connect(server, {.ca_path = trusted_.path()});
  EXPECT_EQ(send().kind, MailOutcome::Kind::sent);
}

}  // namespace
}  // namespace stoa::notification
