#include "services/payment-service/domain/payment.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace stoa::payment {
namespace {

using std::chrono::milliseconds;
using Kind = Happening::Kind;

constexpr Money price{1'299, currencies::eur};

Payment pending() { return {.id = {}, .order = {}, .customer = {}, .amount = price}; }

Payment captured(std::int64_t refunded = 0, std::int64_t under_way = 0) {
  Payment payment = pending();
  payment.status = PaymentStatus::captured;
  payment.captured_minor = price.minor_units();
  payment.refunded_minor = refunded;
  payment.pending_minor = under_way;
  return payment;
}

Payment closed(Payment payment) {
  payment.closed = true;
  return payment;
}

Refund refund_of(std::int64_t minor, bool closing = false) {
  return {.id = {}, .payment = {}, .amount = Money{minor, currencies::eur}, .closing = closing};
}

constexpr RefundOutcome succeeded_outcome() { return {.kind = RefundOutcome::Kind::succeeded}; }

RefundOutcome failed_outcome() {
  return {.kind = RefundOutcome::Kind::failed, .failure = "refund_refused"};
}

std::int64_t sum(const Change& change) {
  std::int64_t total = 0;
  for (const Entry& entry : change.entries) total += entry.amount.minor_units();
  return total;
}

TEST(SettleCharge, BooksACaptureAndTellsIt) {
  const auto change = settle_charge(pending(), {.kind = ChargeOutcome::Kind::captured});
  EXPECT_EQ(change.payment.status, PaymentStatus::captured);
  EXPECT_EQ(change.payment.captured_minor, 1'299);
  EXPECT_EQ(change.entries.at(0), (Entry{Account::provider_cash, price}));
  EXPECT_EQ(sum(change), 0);
  EXPECT_EQ(change.happenings.at(0).kind, Kind::captured);
  EXPECT_FALSE(change.closing_refund);
}

TEST(SettleCharge, GivesACaptureOfAClosedOrderBackAtOnce) {
  const auto change = settle_charge(closed(pending()), {.kind = ChargeOutcome::Kind::captured});
  EXPECT_EQ(change.closing_refund, (ClosingRefund{.amount = price}));
  EXPECT_EQ(change.payment.pending_minor, 1'299);
}

TEST(SettleCharge, BooksNothingForADecline) {
  const auto change =
      settle_charge(pending(), {.kind = ChargeOutcome::Kind::declined, .reason = "card_declined"});
  EXPECT_EQ(change.payment.status, PaymentStatus::declined);
  EXPECT_TRUE(change.entries.empty());
  EXPECT_EQ(change.happenings.at(0).reason, "card_declined");
}

TEST(SettleCharge, TellsAVoid) {
  const auto change = settle_charge(closed(pending()), {.kind = ChargeOutcome::Kind::voided});
  EXPECT_EQ(change.payment.status, PaymentStatus::voided);
  EXPECT_EQ(change.happenings.at(0).kind, Kind::voided);
}

TEST(Close, WaitsForAnOpenAttempt) {
  const auto change = close(pending());
  EXPECT_TRUE(change.payment.closed);
  EXPECT_TRUE(change.happenings.empty());
  EXPECT_FALSE(change.closing_refund);
}

TEST(Close, OfAnOrderThatWasNeverPlacedIsVoided) {
  Payment never{.id = {}, .order = {}, .customer = {}, .status = PaymentStatus::voided};
  EXPECT_EQ(close(never).happenings.at(0).kind, Kind::voided);
}

TEST(Close, RepeatsADecline) {
  Payment payment = pending();
  payment.status = PaymentStatus::declined;
  payment.decline_reason = "card_declined";
  EXPECT_EQ(close(payment).happenings.at(0).reason, "card_declined");
}

TEST(Close, RefundsWhatIsLeftBesideStaffsRefunds) {
  const auto change = close(captured(300, 200));
  EXPECT_EQ(change.closing_refund->amount.minor_units(), 799);
  EXPECT_EQ(change.payment.refundable_minor(), 0);
}

TEST(Close, IsOverAtOnceWhenStaffGaveEverythingBackBefore) {
  Payment payment = captured(1'299);
  payment.last_refund = RefundId{};
  payment.last_refund_minor = 300;
  const auto change = close(payment);
  ASSERT_EQ(change.happenings.size(), 1U);
  EXPECT_TRUE(change.happenings[0].closes_order);
  EXPECT_EQ(change.happenings[0].amount_minor, 300);
  EXPECT_FALSE(change.closing_refund);
}

TEST(Close, TwiceStartsOneRefund) {
  const auto first = close(captured());
  EXPECT_FALSE(close(first.payment).closing_refund);
}

struct CapCase {
  std::string name;
  Payment payment;
  Money amount;
  std::string refusal;
};

class Cap : public testing::TestWithParam<CapCase> {};

TEST_P(Cap, Holds) {
  const auto change = request_refund(GetParam().payment, GetParam().amount);
  if (GetParam().refusal.empty()) {
    ASSERT_TRUE(change);
    EXPECT_EQ(change->payment.pending_minor,
              GetParam().payment.pending_minor + GetParam().amount.minor_units());
  } else {
    ASSERT_FALSE(change);
    EXPECT_EQ(change.error().code, GetParam().refusal);
  }
}

INSTANTIATE_TEST_SUITE_P(
    RequestRefund, Cap,
    testing::Values(
        CapCase{"whole", captured(), Money{1'299, currencies::eur}, ""},
        CapCase{"one_too_many", captured(), Money{1'300, currencies::eur},
                "refund_exceeds_captured"},
        CapCase{"rest", captured(1'000), Money{299, currencies::eur}, ""},
        CapCase{"above_rest", captured(1'000), Money{300, currencies::eur},
                "refund_exceeds_captured"},
        CapCase{"pending_counts", captured(0, 1'000), Money{300, currencies::eur},
                "refund_exceeds_captured"},
        CapCase{"closed_order", close(captured()).payment, Money{1, currencies::eur},
                "refund_exceeds_captured"},
        CapCase{"not_captured", pending(), Money{1, currencies::eur}, "payment_not_captured"},
        CapCase{"other_currency", captured(), Money{1, currencies::usd}, "refund_currency"}),
    [](const auto& each) { return each.param.name; });

TEST(SettleRefund, BooksItAndLeavesTheOrderOpenWhenStaffAsked) {
  const auto change = settle_refund(captured(0, 1'299), refund_of(1'299), succeeded_outcome());
  EXPECT_EQ(change.payment.refunded_minor, 1'299);
  EXPECT_EQ(change.payment.pending_minor, 0);
  EXPECT_EQ(sum(change), 0);
  EXPECT_EQ(change.entries.at(0).amount.minor_units(), -1'299);
  EXPECT_FALSE(change.happenings.at(0).closes_order);
}

TEST(SettleRefund, ClosesTheOrderWithTheLastOfSeveral) {
  const auto first = settle_refund(closed(captured(0, 1'299)), refund_of(300), succeeded_outcome());
  EXPECT_FALSE(first.happenings.at(0).closes_order);
  EXPECT_FALSE(first.closing_refund);
  const auto last = settle_refund(first.payment, refund_of(999, true), succeeded_outcome());
  EXPECT_TRUE(last.happenings.at(0).closes_order);
}

TEST(SettleRefund, AFailureGivesTheAmountBack) {
  const auto change = settle_refund(captured(0, 300), refund_of(300), failed_outcome());
  EXPECT_EQ(change.payment.refundable_minor(), 1'299);
  EXPECT_TRUE(change.entries.empty());
  EXPECT_TRUE(change.happenings.empty());
  EXPECT_FALSE(change.closing_refund);
}

TEST(SettleRefund, AFailedClosingRefundIsRepeatedLaterEachTime) {
  Payment payment = closed(captured(0, 1'299));
  milliseconds before{0};
  for (int round = 0; round < 3; ++round) {
    const auto change = settle_refund(payment, refund_of(1'299, true), failed_outcome());
    ASSERT_TRUE(change.closing_refund);
    EXPECT_GT(change.closing_refund->after, before);
    before = change.closing_refund->after;
    payment = change.payment;
  }
}

TEST(SettleRefund, StaffsFailedRefundOfAClosedOrderBecomesAClosingOne) {
  const auto change = settle_refund(closed(captured(0, 300)), refund_of(300), failed_outcome());
  ASSERT_TRUE(change.closing_refund);
  EXPECT_EQ(change.closing_refund->amount.minor_units(), 1'299);
  EXPECT_EQ(change.closing_refund->after, milliseconds{0});
}

TEST(SettleRefund, ByHandLeavesTheProvidersCashAlone) {
  const auto change = settle_refund_by_hand(closed(captured(0, 1'299)), refund_of(1'299, true));
  EXPECT_EQ(change.entries.at(0).account, Account::settled_by_hand);
  EXPECT_EQ(sum(change), 0);
  EXPECT_TRUE(change.happenings.at(0).closes_order);
}

TEST(Backoff, DoublesUpToItsCap) {
  EXPECT_EQ(question_backoff(1), milliseconds{250});
  EXPECT_EQ(question_backoff(2), milliseconds{500});
  EXPECT_EQ(question_backoff(5), milliseconds{4'000});
  EXPECT_EQ(question_backoff(6), milliseconds{5'000});
  EXPECT_EQ(question_backoff(1'000'000), milliseconds{5'000});
  EXPECT_EQ(closing_backoff(1), milliseconds{1'000});
  EXPECT_EQ(closing_backoff(9), milliseconds{256'000});
  EXPECT_EQ(closing_backoff(10), milliseconds{300'000});
}

TEST(States, AreToldAsOrderServiceAndCustomersKnowThem) {
  EXPECT_EQ(state_for_order(pending()), "unknown");
  EXPECT_EQ(state_for_order(captured(1)), "captured");
  EXPECT_EQ(state_for_order(captured(1'299)), "refunded");
  EXPECT_EQ(public_status(captured()), "captured");
  EXPECT_EQ(public_status(captured(1)), "partly_refunded");
  EXPECT_EQ(public_status(captured(1'299)), "refunded");
}

TEST(States, AreReadAsTheyAreWritten) {
  using enum AttemptStatus;
  for (const auto status : {started, unknown, captured, declined, voided}) {
    EXPECT_EQ(parse_attempt_status(name(status)), status);
  }
  EXPECT_FALSE(parse_payment_status("paid"));
  EXPECT_FALSE(parse_refund_status(""));
}

}  // namespace
}  // namespace stoa::payment
