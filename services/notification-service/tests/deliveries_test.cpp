#include "services/notification-service/app/deliveries.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::notification {
namespace {

using namespace std::chrono_literals;

struct FakeStore final : DeliveryStore {
  std::deque<Delivery> due;
  std::vector<std::size_t> marked;  // how many with each statement
  std::size_t claims = 0;
  std::map<std::string, std::string> ended;  // message id → how
  std::vector<Postponement> postponed;
  int unavailable_next = 0;

  void world() {
    if (unavailable_next > 0) {
      --unavailable_next;
      throw Unavailable{"the database is away"};
    }
  }
  Task<std::vector<Delivery>> accept(Context, std::vector<Notice> notices, std::vector<Erasure>,
                                     Claim claim) override {
    std::vector<Delivery> claimed;
    for (Notice& notice : notices) {
      Delivery delivery{.id = notice.delivery,
                        .user = notice.user,
                        .subject = notice.subject,
                        .kind = notice.kind,
                        .content = notice.content,
                        .message_id = notice.message_id};
      if (claimed.size() < claim.count_max) {
        claimed.push_back(std::move(delivery));
      } else {
        due.push_back(std::move(delivery));
      }
    }
    co_return claimed;
  }
  Task<std::vector<Delivery>> claim(Context, Claim claim) override {
    ++claims;
    std::vector<Delivery> claimed;
    while (!due.empty() && claimed.size() < claim.count_max) {
      claimed.push_back(std::move(due.front()));
      due.pop_front();
    }
    co_return claimed;
  }
  Task<> mark_sent(Context, std::vector<DeliveryId> ids) override {
    co_await sleep_for(3ms);
    world();
    for (const DeliveryId& id : ids) ended[id.str()] = "sent";
    marked.push_back(ids.size());
  }
  Task<> suppress(Context, DeliveryId id) override {
    ended[id.str()] = "suppressed";
    co_return;
  }
  Task<> fail(Context, Delivery delivery, std::string reason) override {
    ended[delivery.id.str()] = "failed: " + reason;
    co_return;
  }
  Task<> postpone(Context, DeliveryId, Postponement postponement) override {
    postponed.push_back(std::move(postponement));
    co_return;
  }
};

struct FakeContacts final : Contacts {
  std::optional<Contact> contact = Contact{.email = "ann@example.test", .name = "Ann"};
  bool away = false;

  Task<std::optional<Contact>> find(Context, UserId) override {
    if (away) throw Unavailable{"user-service is away"};
    co_return contact;
  }
};

struct FakeMailer final : Mailer {
  std::vector<Mail> sent;
  MailOutcome outcome{};
  bool away = false;
  std::size_t at_once = 0;
  std::size_t at_once_max = 0;

  Task<MailOutcome> send(Context, Mail mail) override {
    if (away) throw Unavailable{"no answer"};
    at_once_max = std::max(at_once_max, ++at_once);
    co_await sleep_for(1ms);
    --at_once;
    sent.push_back(std::move(mail));
    co_return outcome;
  }
};

class DeliveriesTest : public testing::Test {
 protected:
  static DeliveryId delivery(std::uint8_t n) {
    DeliveryId id{};
    id.uuid.bytes[15] = n;
    return id;
  }
  static Notice notice(std::uint8_t n) {
    return {.event = {},
            .delivery = delivery(n),
            .user = {},
            .subject = "ord_" + std::to_string(n),
            .kind = NoticeKind::order_paid,
            .content = "{}",
            .message_id = "<" + std::to_string(n) + "@stoa.test>",
            .traceparent = ""};
  }
  Deliveries::Sources sources() {
    return {.render =
                [](const Delivery& d, const Contact& c) {
                  return RenderedMail{.subject = d.subject, .text = c.name, .html = "<p>"};
                },
            .observe =
                [this](const Delivery&, std::string_view outcome) {
                  ++ended_;
                  outcomes_.emplace_back(outcome);
                },
            .jitter = [] { return 1.0; }};
  }
  /// Accepts `count` notices and lets them go until `ends` attempts have ended.
  void accept(std::uint8_t count, std::size_t ends) {
    std::vector<Notice> notices;
    for (std::uint8_t n = 1; n <= count; ++n) notices.push_back(notice(n));
    testing_support::run_on(loops_, accept_and_wait(std::move(notices), ends));
  }
  Task<> accept_and_wait(std::vector<Notice> notices, std::size_t ends) {
    co_await deliveries_.accept({}, std::move(notices), {});
    for (int i = 0; i < 5'000 && ended_ < ends; ++i) co_await sleep_for(1ms);
  }
  std::string end_of(std::uint8_t n) { return store_.ended[delivery(n).str()]; }

  Loops loops_{1};
  FakeStore store_;
  FakeContacts contacts_;
  FakeMailer mailer_;
  std::size_t ended_ = 0;
  std::vector<std::string> outcomes_;
  Deliveries deliveries_{loops_,  store_,    contacts_,
                         mailer_, sources(), {.in_flight_max = 2, .waiting_max = 4}};
};

TEST_F(DeliveriesTest, SendsWhatWasAccepted) {
  accept(5, 5);

  ASSERT_EQ(mailer_.sent.size(), 5U);
  EXPECT_EQ(mailer_.sent[0].message_id, "<1@stoa.test>");
  EXPECT_EQ(mailer_.sent[0].to.email, "ann@example.test");
  EXPECT_EQ(mailer_.sent[0].subject, "ord_1");
  EXPECT_EQ(end_of(5), "sent");
  EXPECT_LE(mailer_.at_once_max, 2U);
}

TEST_F(DeliveriesTest, AsksTheStoreForNothingWhenItHasRoomForWhatItAccepts) {
  accept(4, 4);

  EXPECT_EQ(mailer_.sent.size(), 4U);
  EXPECT_EQ(store_.claims, 0U);
}

TEST_F(DeliveriesTest, RecordsTogetherWhatWentOutMeanwhile) {
  accept(20, 20);

  EXPECT_EQ(store_.ended.size(), 20U);
  EXPECT_LT(store_.marked.size(), 20U);
}

TEST_F(DeliveriesTest, LeavesToItsRowWhatItsLeaseDoesNotCover) {
  Deliveries late{loops_,  store_,    contacts_,
                  mailer_, sources(), {.lease = 1s, .attempt_timeout = 2s}};
  testing_support::run_on(loops_, late.accept({}, {notice(1)}, {}));

  EXPECT_TRUE(mailer_.sent.empty());
  EXPECT_EQ(end_of(1), "");
}

TEST_F(DeliveriesTest, MailsNobodyWhoIsErased) {
  contacts_.contact.reset();
  accept(1, 1);

  EXPECT_TRUE(mailer_.sent.empty());
  EXPECT_EQ(end_of(1), "suppressed");
}

TEST_F(DeliveriesTest, GivesUpWhatIsRefusedForGood) {
  mailer_.outcome = {.kind = MailOutcome::Kind::refused, .detail = "550"};
  accept(1, 1);

  EXPECT_EQ(end_of(1), "failed: 550");
}

TEST_F(DeliveriesTest, GivesUpAnAddressThatCannotBeMailedTo) {
  contacts_.contact->email = "ann@x.test>\r\nRCPT TO:<eve@x.test";
  accept(1, 1);

  EXPECT_TRUE(mailer_.sent.empty());
  EXPECT_EQ(end_of(1), "failed: the user's address cannot be mailed to");
}

TEST_F(DeliveriesTest, TriesAgainLaterWhatIsRefusedForNow) {
  mailer_.outcome = {.kind = MailOutcome::Kind::refused_for_now, .detail = "451"};
  accept(1, 1);

  ASSERT_EQ(store_.postponed.size(), 1U);
  EXPECT_EQ(store_.postponed[0].delay, 1s);
  EXPECT_EQ(store_.postponed[0].refusals, 1);
  EXPECT_EQ(end_of(1), "");
}

TEST_F(DeliveriesTest, CountsNothingWhileTheMailServerIsAway) {
  mailer_.away = true;
  accept(1, 1);

  ASSERT_EQ(store_.postponed.size(), 1U);
  EXPECT_EQ(store_.postponed[0].refusals, 0);
  EXPECT_EQ(outcomes_, std::vector<std::string>{"unavailable"});
}

TEST_F(DeliveriesTest, PausesInsteadOfFailingThroughTheWholeBacklog) {
  contacts_.away = true;
  accept(50, 1);

  // At most two were in flight; the others that there was room for wait, the rest is not claimed.
  EXPECT_LE(store_.postponed.size(), 2U);
  EXPECT_EQ(store_.due.size(), 46U);
}

TEST_F(DeliveriesTest, RemembersAMailThatIsOutThoughTheDatabaseIsAway) {
  store_.unavailable_next = 2;
  accept(1, 1);

  EXPECT_EQ(mailer_.sent.size(), 1U);
  EXPECT_EQ(end_of(1), "sent");
}

}  // namespace
}  // namespace stoa::notification
