#include "tools/mail-sink/mime.hpp"

#include <format>

#include <gtest/gtest.h>

namespace stoa::mail {
namespace {

TEST(Mime, ReadsBothPartsOfAnAlternative) {
  const Mime mime = parse_mime(
      "Subject: =?utf-8?Q?Caf=C3=A9_order?= =?utf-8?B?IDQy?=\r\n"
      "X-Long: one\r\n two\r\n"
      "Content-Type: multipart/alternative; boundary=\"b1\"\r\n"
      "\r\n"
      "--b1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
      "Total 25.98 =E2=82=AC, thank=\r\n you\r\n"
      "--b1\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
      "PGI+aGk8L2I+\r\n"
      "--b1--\r\n");

  EXPECT_EQ(mime.header("subject"), "Café order 42");
  EXPECT_EQ(mime.header("x-long"), "one two");
  EXPECT_EQ(mime.text, "Total 25.98 €, thank you\r\n");
  EXPECT_EQ(mime.html, "<b>hi</b>");
}

TEST(Mime, TakesAMessageWithoutStructureAsText) {
  EXPECT_EQ(parse_mime("Subject: x\r\n\r\nhello\r\n").text, "hello\r\n");
  EXPECT_EQ(parse_mime("").text, "");
  EXPECT_EQ(parse_mime("\r\nonly a body").text, "only a body");
}

TEST(Mime, SurvivesBrokenStructure) {
  EXPECT_EQ(parse_mime("Content-Type: multipart/mixed\r\n\r\n--\r\nx").html, "");
  EXPECT_EQ(parse_mime("Content-Type: multipart/mixed; boundary=q\r\n\r\n--q").text, "");
  EXPECT_EQ(parse_mime("Subject: =?utf-8?Q?=ZZ?=\r\n\r\n").header("subject"), "=ZZ");
  EXPECT_EQ(parse_mime("Subject: =?utf-8?\r\n\r\n").header("subject"), "=?utf-8?");
}

TEST(Mime, FollowsNestedPartsToALimit) {
  std::string message = "\r\n\r\ndeep";
  for (int i = 0; i < 20; ++i) {
    message = std::format(
        "Content-Type: multipart/mixed; boundary=b{0}x\r\n\r\n--b{0}x\r\n{1}\r\n--b{0}x--\r\n", i,
        message);
  }
  EXPECT_EQ(parse_mime(message).text, "");
}

}  // namespace
}  // namespace stoa::mail
