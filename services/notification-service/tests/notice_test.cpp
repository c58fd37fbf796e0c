#include "services/notification-service/domain/notice.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stoa::notification {
namespace {

TEST(NoticeKind, IsReadAsItIsWritten) {
  for (const auto kind :
       {NoticeKind::user_registered, NoticeKind::order_paid, NoticeKind::order_cancelled,
        NoticeKind::payment_failed, NoticeKind::payment_refunded}) {
    EXPECT_EQ(parse_notice_kind(name(kind)), kind);
  }
  EXPECT_EQ(parse_notice_kind("order_lost"), std::nullopt);
}

TEST(RetryDelay, GrowsAndEnds) {
  EXPECT_EQ(retry_delay(1), std::chrono::seconds{1});
  EXPECT_EQ(retry_delay(2), std::chrono::seconds{5});
  EXPECT_EQ(retry_delay(7), std::chrono::hours{4});
  EXPECT_EQ(retry_delay(8), std::nullopt);
}

TEST(MessageId, IsTheSameForEveryAttemptOfADelivery) {
  const DeliveryId id{*Uuid::parse("01932f6e-7c00-7000-8000-000000000001")};

  EXPECT_EQ(message_id(id, "shop.test"), "<dlv_01jcqpwz00e008000000000001@shop.test>");
}

struct Address {
  std::string text;
  bool is_address;
};
class MailAddress : public testing::TestWithParam<Address> {};

TEST_P(MailAddress, IsTakenOnlyWhenNothingInItHasAMeaning) {
  EXPECT_EQ(is_mail_address(GetParam().text), GetParam().is_address) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Each, MailAddress,
    testing::Values(Address{"ann@example.test", true}, Address{"a+b.c_d@x.test", true},
                    Address{std::string(248, 'a') + "@x.test", false},
                    Address{std::string(247, 'a') + "@x.test", true}, Address{"", false},
                    Address{"ann", false}, Address{"@x", false}, Address{"ann@", false},
                    Address{"a@b@c", false}, Address{"ann@x.test\r\nBcc: eve@x.test", false},
                    Address{"ann@x.test>\r\nDATA", false}, Address{"ann smith@x.test", false},
                    Address{"\"ann\"@x.test", false}, Address{"a,b@x.test", false},
                    Address{"j\xc3\xb6rg@x.test", false}, Address{"ann@x.test\x7f", false}));

}  // namespace
}  // namespace stoa::notification
