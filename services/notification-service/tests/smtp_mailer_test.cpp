#include "services/notification-service/adapters/smtp_mailer.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"
#include "servicekit/testing/scripted_server.hpp"

namespace stoa::notification {
namespace {

using namespace std::chrono_literals;
using testing_support::ScriptedConnection;
using testing_support::ScriptedServer;

/// An SMTP server that answers by rote, one reply for each command.
class RoteServer {
 public:
  struct Replies {
    std::string greeting = "220 rote";
    std::string sender = "250 ok";
    std::string recipient = "250 ok";
    std::string data_end = "250 taken";
  };

  explicit RoteServer(Replies replies) : replies_{std::move(replies)} {}

  std::string address() const { return server_.address(); }
  int connections() const { return server_.connections(); }
  std::vector<std::string> mails() {
    const std::lock_guard lock{mutex_};
    return mails_;
  }

 private:
  void serve(ScriptedConnection& connection) {
    connection.send(replies_.greeting + "\r\n");
    for (;;) {
      const std::string command = connection.read_until("\r\n");
      if (command.empty()) return;
      if (command.starts_with("EHLO")) {
        connection.send("250 rote\r\n");
      } else if (command.starts_with("MAIL")) {
        connection.send(replies_.sender + "\r\n");
      } else if (command.starts_with("RCPT")) {
        connection.send(replies_.recipient + "\r\n");
      } else if (command.starts_with("DATA")) {
        connection.send("354 go on\r\n");
        std::string mail = connection.read_until("\r\n.\r\n");
        {
          const std::lock_guard lock{mutex_};
          mails_.push_back(std::move(mail));
        }
        if (replies_.data_end.empty()) return;
        connection.send(replies_.data_end + "\r\n");
      } else {
        connection.send("250 ok\r\n");
      }
    }
  }

  Replies replies_;
  std::mutex mutex_;
  std::vector<std::string> mails_;
  ScriptedServer server_{[this](ScriptedConnection& connection) { serve(connection); }};
};

class SmtpMailerTest : public testing::Test {
 protected:
  static Mail mail(int n) {
    return {.message_id = "<dlv_" + std::to_string(n) + "@stoa.test>",
            .to = {.email = "ann@example.test", .name = "Ann"},
            .subject = "Mail " + std::to_string(n),
            .text = ".first line is a dot\n",
            .html = "<p>"};
  }
  void connect(const std::string& address) {
    mailer_ = std::make_unique<SmtpMailer>(
        pool_,
        SmtpConfig{.address = address,
                   .sender = {.address = "shop@stoa.test", .name = "Stoa"},
                   .connect_timeout = 500ms,
                   .timeout = 1s},
        [] { return Instant{}; }, telemetry_);
  }
  MailOutcome send(int n) {
    return testing_support::run_on(loops_, mailer_->send(Context{}.within(10s), mail(n)));
  }

  telemetry::Telemetry telemetry_{{.service = "test", .log_level = "off"}};
  Loops loops_{1};
  CpuPool pool_{{.threads = 1, .queue_max = 4}};
  std::unique_ptr<SmtpMailer> mailer_;
};

TEST_F(SmtpMailerTest, SendsTheMailAsItIs) {
  RoteServer server{{}};
  connect(server.address());

  EXPECT_EQ(send(1).kind, MailOutcome::Kind::sent);
  ASSERT_EQ(server.mails().size(), 1U);
  const std::string sent = server.mails()[0];
  EXPECT_TRUE(sent.contains("Message-ID: <dlv_1@stoa.test>\r\n")) << sent;
  EXPECT_TRUE(sent.contains("To: Ann <ann@example.test>\r\n")) << sent;
  // RFC 5321 section 4.5.2: a leading dot is doubled on the wire.
  EXPECT_TRUE(sent.contains("\r\n..first line is a dot\r\n")) << sent;
}

TEST_F(SmtpMailerTest, KeepsItsConnection) {
  RoteServer server{{}};
  connect(server.address());
  for (int n = 0; n < 20; ++n) ASSERT_EQ(send(n).kind, MailOutcome::Kind::sent);

  EXPECT_EQ(server.mails().size(), 20U);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(SmtpMailerTest, TellsARefusalForNowFromOneForGood) {
  RoteServer busy{{.recipient = "450 try later"}};
  connect(busy.address());
  EXPECT_EQ(send(1).kind, MailOutcome::Kind::refused_for_now);
  RoteServer strict{{.recipient = "550 no such user"}};
  connect(strict.address());
  EXPECT_EQ(send(1).kind, MailOutcome::Kind::refused);
  RoteServer full{{.data_end = "451 no room"}};
  connect(full.address());
  EXPECT_EQ(send(1).kind, MailOutcome::Kind::refused_for_now);
  EXPECT_EQ(send(2).detail, "the mail server answered 451");
}

TEST_F(SmtpMailerTest, DoesNotBlameTheMailForAServerThatGoesAway) {
  RoteServer leaving{{.recipient = "421 closing"}};
  connect(leaving.address());
  EXPECT_THROW(send(1), Unavailable);
  RoteServer closed{{.greeting = "554 no mail here"}};
  connect(closed.address());
  EXPECT_THROW(send(1), Unavailable);
  // Our own address: every mail has it.
  RoteServer choosy{{.sender = "550 sender rejected"}};
  connect(choosy.address());
  EXPECT_THROW(send(1), Unavailable);
  RoteServer silent{{.data_end = ""}};
  connect(silent.address());
  EXPECT_THROW(send(1), Unavailable);
  connect("127.0.0.1:" + std::to_string(testing_support::closed_port()));
  EXPECT_THROW(send(1), Unavailable);
}

TEST_F(SmtpMailerTest, DoesNotWaitForAServerThatSaysNothing) {
  ScriptedServer frozen{[](ScriptedConnection& connection) { connection.await_close(); }};
  connect(frozen.address());

  EXPECT_THROW(send(1), Unavailable);
}

TEST_F(SmtpMailerTest, ConnectsAgainAfterTheServerWentAway) {
  auto first = std::make_unique<RoteServer>(RoteServer::Replies{.data_end = ""});
  connect(first->address());
  EXPECT_THROW(send(1), Unavailable);
  first.reset();
  EXPECT_THROW(send(2), Unavailable);
}

}  // namespace
}  // namespace stoa::notification
