#include "services/notification-service/adapters/mail_message.hpp"

#include <algorithm>
#include <ranges>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace stoa::notification {
namespace {

const Sender shop{.address = "shop@stoa.test", .name = "Stoa"};
const Instant noon = *parse_rfc3339("2026-11-22T12:00:00.123Z");

Mail to_ann() {
  return {.message_id = "<dlv_01jd@stoa.test>",
          .to = {.email = "ann@example.test", .name = "Ann Smith"},
          .subject = "Welcome to Stoa",
          .text = "Hello Ann",
          .html = "<p>Hello Ann</p>",
          .trace = *TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")};
}

std::string head_of(const std::string& message) {
  return message.substr(0, message.find("\r\n\r\n"));
}

std::size_t count_headers(const std::string& message, std::string_view name) {
  std::size_t count = 0;
  for (const auto line : std::views::split(head_of(message), std::string_view{"\r\n"})) {
    count += std::string_view{line}.starts_with(name) ? 1U : 0U;
  }
  return count;
}

TEST(MailMessage, IsTwoPartsOfOneText) {
  EXPECT_EQ(write_message(to_ann(), shop, noon),
            "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
            "From: Stoa <shop@stoa.test>\r\n"
            "To: Ann Smith <ann@example.test>\r\n"
            "Subject: Welcome to Stoa\r\n"
            "Message-ID: <dlv_01jd@stoa.test>\r\n"
            "MIME-Version: 1.0\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
            "X-Trace-Id: 0af7651916cd43dd8448eb211c80319c\r\n"
            "Content-Type: multipart/alternative; boundary=\"=_dlv01jd\"\r\n"
            "\r\n"
            "--=_dlv01jd\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "\r\n"
            "Hello Ann\r\n"
            "--=_dlv01jd\r\n"
            "Content-Type: text/html; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "\r\n"
            "<p>Hello Ann</p>\r\n"
            "--=_dlv01jd--\r\n");
}

TEST(MailMessage, LetsNoNameAndNoSubjectAddAHeader) {
  Mail mail = to_ann();
  mail.to.name = "Ann\r\nBcc: eve@example.test\r\n\r\nbody";
  mail.subject = "Hi\nBcc: eve@example.test";
  const std::string message = write_message(mail, shop, noon);

  EXPECT_EQ(count_headers(message, "Bcc:"), 0U);
  EXPECT_EQ(count_headers(message, "To:"), 1U);
  EXPECT_TRUE(head_of(message).contains("Content-Type: multipart/alternative"));
}

TEST(MailMessage, EncodesANameThatHasAMeaning) {
  Mail mail = to_ann();
  mail.to.name = "Eve <eve@x.test>, \"Ann\"";
  const std::string message = write_message(mail, shop, noon);

  EXPECT_TRUE(message.contains("To: =?UTF-8?B?")) << message;
  EXPECT_FALSE(message.contains("eve@x.test"));
}

TEST(MailMessage, LeavesOutANameThatIsNone) {
  Mail mail = to_ann();
  mail.to.name = "";

  EXPECT_TRUE(write_message(mail, shop, noon).contains("To: <ann@example.test>\r\n"));
}

TEST(MailMessage, CannotBeEndedByItsOwnText) {
  Mail mail = to_ann();
  mail.text = "--=_dlv01jd--\n.\nQUIT";
  const std::string message = write_message(mail, shop, noon);

  EXPECT_TRUE(message.contains("--=3D_dlv01jd--"));
}

TEST(HeaderText, StaysPlainWhenItIs) {
  EXPECT_EQ(header_text("Order 7 is paid"), "Order 7 is paid");
}

TEST(HeaderText, EncodesEverythingElse) {
  EXPECT_EQ(header_text("\xc3\x84pfel"), "=?UTF-8?B?w4RwZmVs?=");
  EXPECT_EQ(header_text("=?UTF-8?Q?x?="), "=?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=");
}

TEST(HeaderText, SplitsALongOneBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "\xe2\x82\xac";  // 3 bytes each, 120 in all
  const std::string header = header_text(text);

  std::size_t words = 0;
  for (const auto line : std::views::split(header, std::string_view{"\r\n "})) {
    EXPECT_LE(std::string_view{line}.size(), 75U);
    ++words;
  }
  EXPECT_EQ(words, 3U);
  // 45 bytes are 15 whole characters: every word starts with the same one.
  EXPECT_TRUE(header.starts_with("=?UTF-8?B?4oKs"));
  EXPECT_TRUE(header.contains("\r\n =?UTF-8?B?4oKs"));
}

TEST(QuotedPrintable, EscapesWhatMustNotStandAlone) {
  EXPECT_EQ(quoted_printable("a=b"), "a=3Db");
  EXPECT_EQ(quoted_printable("\xe2\x82\xac 5"), "=E2=82=AC 5");
  EXPECT_EQ(quoted_printable("end \nx"), "end=20\r\nx");
  EXPECT_EQ(quoted_printable("a\r\nb"), "a\r\nb");
  EXPECT_EQ(quoted_printable("bell\x07"), "bell=07");
}

TEST(QuotedPrintable, KeepsLinesShort) {
  const std::string encoded = quoted_printable(std::string(500, 'x'));

  for (const auto line : std::views::split(encoded, std::string_view{"\r\n"})) {
    EXPECT_LE(std::string_view{line}.size(), 76U);
  }
  std::string joined = encoded;
  for (auto at = joined.find("=\r\n"); at != std::string::npos; at = joined.find("=\r\n")) {
    joined.erase(at, 3);
  }
  EXPECT_EQ(joined, std::string(500, 'x'));
}

}  // namespace
}  // namespace stoa::notification
