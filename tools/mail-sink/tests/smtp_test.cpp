#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"

#include "tools/mail-sink/smtp_session.hpp"

namespace stoa::mail {
namespace {

namespace net = boost::asio;

/// A server on a loop of its own thread, spoken to by a plain blocking socket.
class SmtpTest : public testing::Test {
 protected:
  SmtpTest() : server_{loops_.at(0), "127.0.0.1", 0, mailbox_, limits()} {
    thread_ = std::thread{[this] { loops_.run(); }};
  }
  ~SmtpTest() override {
    net::post(loops_.at(0), [this] {
      server_.stop();
      loops_.stop();
    });
    thread_.join();
  }

  static SmtpLimits limits() { return {.line_bytes_max = 1000, .message_bytes_max = 2000}; }

  /// Sends everything, then reads until the server closes.
  std::string talk(const std::string& bytes) {
    net::io_context io;
    net::ip::tcp::socket socket{io};
    socket.connect({net::ip::make_address("127.0.0.1"), server_.port()});
    net::write(socket, net::buffer(bytes));
    boost::system::error_code end;
    std::string answer;
    net::read(socket, net::dynamic_buffer(answer), end);
    return answer;
  }

  static std::string mail(const std::string& body) {
    return "EHLO me\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<B@x.test>\r\nDATA\r\n" + body +
           "\r\n.\r\nQUIT\r\n";
  }

  Loops loops_{1};
  Mailbox mailbox_{{}, {}};
  SmtpServer server_;
  std::thread thread_;
};

TEST_F(SmtpTest, TakesAPipelinedMailWhole) {
  const std::string answer = talk(mail("Subject: hi\r\n\r\n..dot\r\nend"));
  EXPECT_TRUE(answer.contains("250 2.0.0 taken")) << answer;
  EXPECT_TRUE(answer.contains("221 ")) << answer;
  ASSERT_EQ(mailbox_.size(), 1U);
  EXPECT_EQ(mailbox_.find(1)->to, std::vector<std::string>{"b@x.test"});
  EXPECT_TRUE(mailbox_.find(1)->raw.ends_with(".dot\r\nend\r\n")) << mailbox_.find(1)->raw;
}

TEST_F(SmtpTest, RefusesTheOrderOfCommandsThatMeansNothing) {
  EXPECT_TRUE(talk("DATA\r\nQUIT\r\n").contains("503 "));
  EXPECT_TRUE(talk("RCPT TO:<a@b>\r\nQUIT\r\n").contains("503 "));
  EXPECT_TRUE(talk("MAIL FROM:nobody\r\nQUIT\r\n").contains("501 "));
  EXPECT_EQ(mailbox_.size(), 0U);
}

TEST_F(SmtpTest, RefusesAMessageThatIsTooLargeAndStaysInStep) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += std::string(100, 'x') + "\r\n";
  const std::string answer = talk(mail(lines));
  EXPECT_TRUE(answer.contains("552 ")) << answer;
  EXPECT_TRUE(answer.contains("221 ")) << answer;
  EXPECT_EQ(mailbox_.size(), 0U);
}

TEST_F(SmtpTest, EndsALineThatNeverEnds) {
  EXPECT_TRUE(talk(std::string(20'000, 'x')).contains("500 "));
}

TEST_F(SmtpTest, RefusesAsManyAsATestAsksFor) {
  mailbox_.faults.refuse_next = 1;
  EXPECT_TRUE(talk(mail("Subject: 1\r\n\r\n")).contains("451 "));
  EXPECT_TRUE(talk(mail("Subject: 1\r\n\r\n")).contains("250 2.0.0 taken"));
  EXPECT_EQ(mailbox_.size(), 1U);
}

}  // namespace
}  // namespace stoa::mail
