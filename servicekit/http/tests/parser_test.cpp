#include "servicekit/http/detail/parser.hpp"

#include <random>
#include <string_view>

#include <gtest/gtest.h>

#include "servicekit/http/client.hpp"
#include "servicekit/testing/told_messages.hpp"

namespace stoa::http::detail {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t body_max = 1'000;

const std::vector<std::string>& samples() {
  static const std::vector<std::string> all{
      "GET /a?b=c HTTP/1.1\r\nhost: t\r\naccept: */*\r\n\r\n",
      "\r\nPOST /a HTTP/1.1\r\nHost: t\r\ncontent-length: 5\r\nx:  y \r\n\r\nhello",
      ("POST /a HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
       "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n"),
      "HEAD / HTTP/1.0\r\n\r\n",
      "POST /a HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 0\r\nempty:\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close, x\r\n\r\n",
      "GET /a HTTP/1.1\r\nhost: t\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
      "POST /a HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
      "GET /a HTTP/1.1\r\nhost: t\r\nx: y\r\n z\r\n\r\n",
  };
  return all;
}

/// What a parser with small limits makes of bytes that arrive in two pieces.
std::string verdict(const std::string& bytes, std::size_t split) {
  Parser parser{Parser::Kind::request, {.header_bytes_max = 200, .header_count_max = 8}};
  const auto [messages, refused] = testing_support::told_in_two(parser, bytes, split, body_max);
  return messages + (refused != 0 ? "bad " + std::to_string(refused) : "more");
}

TEST(Parser, TellsTheSameHoweverTheBytesAreSplit) {
  for (const std::string& sample : samples()) {
    const std::string bytes = sample + samples().front();
    const std::string whole = verdict(bytes, bytes.size());
    for (std::size_t split = 0; split < bytes.size(); ++split) {
      ASSERT_EQ(verdict(bytes, split), whole) << sample << " at " << split;
    }
  }
}

TEST(Parser, TellsTheSameOfMutatedBytesHoweverTheyAreSplit) {
  std::minstd_rand random{20'261'122};
  const auto below = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>{0, count - 1}(random);
  };
  constexpr auto interesting = "\r\n\0 \t:;,0123456789afx\xff"sv;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = samples()[below(samples().size())] + samples()[below(samples().size())];
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes[at] = interesting[below(interesting.size())];
          break;
        case 1:
          bytes.insert(at, 1, interesting[below(interesting.size())]);
          break;
        default:
          bytes.erase(at, 1);
      }
    }
    const std::string whole = verdict(bytes, bytes.size());
    ASSERT_EQ(verdict(bytes, below(bytes.size())), whole) << testing::PrintToString(bytes);
  }
}

TEST(Parser, CountsHeadersAndTheirBytes) {
  const auto with = [](std::string_view headers) {
    const std::string bytes = "GET / HTTP/1.1\r\nhost: t\r\n" + std::string{headers} + "\r\n";
    return verdict(bytes, bytes.size());
  };
  EXPECT_TRUE(with("a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\n").ends_with("more"));
  EXPECT_TRUE(with("a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n").ends_with("431"));
  EXPECT_TRUE(with("x:" + std::string(194, 'y') + "\r\n").ends_with("more"));
  EXPECT_TRUE(with("x:" + std::string(195, 'y') + "\r\n").ends_with("431"));
}

TEST(HopByHop, AreTheHeadersOfOneConnection) {
  for (const std::string_view name :
       {"Connection", "keep-alive", "TE", "Trailer", "transfer-encoding", "Upgrade",
        "content-length", "proxy-connection", "proxy-authorization", "proxy-authenticate",
        "expect"}) {
    EXPECT_TRUE(is_hop_by_hop(name)) << name;
  }
  for (const std::string_view name : {"content-type", "tea", "", "connections", "x-te"}) {
    EXPECT_FALSE(is_hop_by_hop(name)) << name;
  }
}

}  // namespace
}  // namespace stoa::http::detail
