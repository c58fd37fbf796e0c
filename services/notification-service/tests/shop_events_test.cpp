#include "services/notification-service/adapters/shop_events.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

namespace stoa::notification {
namespace {

using messaging::Event;
using messaging::Verdict;

constexpr std::string_view ann = "usr_01jd9x4m8ef2trv5y6a7b8c9d0";

/// Keeps what it is given and hands out nothing.
struct AcceptingStore final : DeliveryStore {
  std::vector<Notice> notices;
  std::vector<Erasure> erasures;

  Task<std::vector<Delivery>> accept(Context, std::vector<Notice> told, std::vector<Erasure> gone,
                                     Claim) override {
    notices = std::move(told);
    erasures = std::move(gone);
    co_return std::vector<Delivery>{};
  }
  Task<std::vector<Delivery>> claim(Context, Claim) override { co_return std::vector<Delivery>{}; }
  Task<> mark_sent(Context, std::vector<DeliveryId>) override { co_return; }
  Task<> suppress(Context, DeliveryId) override { co_return; }
  Task<> fail(Context, Delivery, std::string) override { co_return; }
  Task<> postpone(Context, DeliveryId, Postponement) override { co_return; }
};
struct NoContacts final : Contacts {
  Task<std::optional<Contact>> find(Context, UserId) override { co_return std::nullopt; }
};
struct NoMailer final : Mailer {
  Task<MailOutcome> send(Context, Mail) override { co_return MailOutcome{}; }
};

class ShopEventsTest : public testing::Test {
 protected:
  std::vector<Verdict> handle(std::vector<Event> events) {
    return testing_support::run_on(loops_, shop_events_.handle({}, std::move(events)));
  }
  static Event event(std::string type, std::string data) {
    Event told;
    told.id = *Uuid::parse("01932f6e-7c00-7000-8000-000000000001");
    told.type = std::move(type);
    told.version = 1;
    told.data = std::move(data);
    told.trace = *TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    return told;
  }
  static std::string order_data() {
    return R"({"order_id": "ord_1", "number": "S-1", "customer_id": ")" + std::string{ann} +
           R"(", "lines": [], "total": {"amount": 1, "currency": "EUR"}})";
  }
  static std::string user_data() { return R"({"user_id": ")" + std::string{ann} + "\"}"; }

  Loops loops_{1};
  AcceptingStore store_;
  NoContacts contacts_;
  NoMailer mailer_;
  Deliveries deliveries_{loops_,
                         store_,
                         contacts_,
                         mailer_,
                         {.render = [](const Delivery&, const Contact&) { return RenderedMail{}; },
                          .observe = [](const Delivery&, std::string_view) {},
                          .jitter = [] { return 1.0; }},
                         {}};
  ShopEvents shop_events_{deliveries_, "stoa.test"};
};

TEST_F(ShopEventsTest, MakesANoticeOfEachFactThatIsMailed) {
  const auto verdicts =
      handle({event("user.registered", user_data()), event("order.paid", order_data()),
              event("order.cancelled", order_data()), event("order.payment_failed", order_data()),
              event("payment.refunded",
                    R"({"refund_id": "rfd_1", "order_id": "ord_1", "customer_id": ")" +
                        std::string{ann} + R"(", "amount": {"amount": 1, "currency": "EUR"}})")});

  for (const Verdict& verdict : verdicts) EXPECT_EQ(verdict.kind, Verdict::Kind::done);
  std::map<NoticeKind, std::string> subjects;
  for (const Notice& notice : store_.notices) subjects[notice.kind] = notice.subject;
  EXPECT_EQ(subjects,
            (std::map<NoticeKind, std::string>{{NoticeKind::user_registered, std::string{ann}},
                                               {NoticeKind::order_paid, "ord_1"},
                                               {NoticeKind::order_cancelled, "ord_1"},
                                               {NoticeKind::payment_failed, "ord_1"},
                                               {NoticeKind::payment_refunded, "rfd_1"}}));
}

TEST_F(ShopEventsTest, GivesTheMailItsIdAndTheTraceOfItsFact) {
  handle({event("order.paid", order_data())});

  const Notice& notice = store_.notices.at(0);
  EXPECT_EQ(notice.message_id, "<" + notice.delivery.str() + "@stoa.test>");
  EXPECT_EQ(notice.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(notice.event.uuid.str(), "01932f6e-7c00-7000-8000-000000000001");
  EXPECT_EQ(notice.user.str(), ann);
}

TEST_F(ShopEventsTest, ForgetsWhoLeft) {
  handle({event("user.deleted", user_data())});

  ASSERT_EQ(store_.erasures.size(), 1U);
  EXPECT_EQ(store_.erasures[0].user.str(), ann);
  EXPECT_TRUE(store_.notices.empty());
}

TEST_F(ShopEventsTest, RefusesWhatItCannotReadAndKeepsTheRest) {
  const auto verdicts =
      handle({event("order.paid", "{}"), event("order.placed", "{}"),
              event("user.deleted", R"({"user_id": "ord_1"})"), event("order.paid", order_data())});

  EXPECT_EQ(verdicts[0].kind, Verdict::Kind::refuse);
  EXPECT_TRUE(verdicts[0].reason.contains("/customer_id required")) << verdicts[0].reason;
  EXPECT_EQ(verdicts[1].reason, "order.placed does not belong here");
  EXPECT_EQ(verdicts[2].kind, Verdict::Kind::refuse);
  EXPECT_EQ(verdicts[3].kind, Verdict::Kind::done);
  EXPECT_EQ(store_.notices.size(), 1U);
}

}  // namespace
}  // namespace stoa::notification
