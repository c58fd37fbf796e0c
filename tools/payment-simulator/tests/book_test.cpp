#include "tools/payment-simulator/book.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace stoa::simulator {
namespace {

constexpr std::int64_t noon_ms = 43'200'000;

PayRequest request(const std::string& key, const std::string& token, bool capture = true) {
  return {.key = key,
          .amount = 1'299,
          .currency = "EUR",
          .token = token,
          .reference = "ord_1",
          .capture = capture};
}

/// Decides and applies, as the API does; answers whether anything was written.
bool act(Book& book, Decision decision) {
  if (!decision.record) return false;
  book.apply(*decision.record);
  return true;
}

bool pay(Book& book, const std::string& key, const std::string& token, bool capture = true) {
  return act(book, book.pay(request(key, token, capture), noon_ms));
}

struct TokenCase {
  std::string token;
  PaymentStatus status;
  std::string decline_code;
};

class Tokens : public testing::TestWithParam<TokenCase> {};

TEST_P(Tokens, EndAsDocumented) {
  Book book;
  pay(book, "k", GetParam().token);
  const Entry* entry = book.find("k");
  ASSERT_NE(entry, nullptr);
  ASSERT_NE(entry->payment, nullptr);
  EXPECT_EQ(entry->payment->status, GetParam().status);
  EXPECT_EQ(entry->payment->decline_code, GetParam().decline_code);
  const bool captured = GetParam().status == PaymentStatus::captured;
  EXPECT_EQ(entry->payment->captured, captured ? 1'299 : 0);
  EXPECT_EQ(book.statement().size(), captured ? 1U : 0U);
}

INSTANTIATE_TEST_SUITE_P(
    All, Tokens,
    testing::Values(TokenCase{"tok_ok", PaymentStatus::captured, ""},
                    TokenCase{"tok_declined", PaymentStatus::declined, "card_declined"},
                    TokenCase{"tok_insufficient_funds", PaymentStatus::declined,
                              "insufficient_funds"},
                    TokenCase{"tok_timeout_after_capture", PaymentStatus::captured, ""},
                    TokenCase{"tok_slow", PaymentStatus::captured, ""},
                    TokenCase{"tok_3ds", PaymentStatus::declined, "authentication_required"},
                    TokenCase{"tok_refund_fails_once", PaymentStatus::captured, ""},
                    TokenCase{"tok_refund_refused", PaymentStatus::captured, ""},
                    TokenCase{"tok_refund_timeout", PaymentStatus::captured, ""},
                    TokenCase{"tok_webhook_duplicate", PaymentStatus::captured, ""},
                    TokenCase{"tok_webhook_late", PaymentStatus::captured, ""},
                    TokenCase{"tok_webhook_reordered", PaymentStatus::captured, ""},
                    TokenCase{"tok_of_nobody", PaymentStatus::declined, "invalid_token"},
                    TokenCase{"", PaymentStatus::declined, "invalid_token"}));

TEST(Paying, ChargesAKeyOnce) {
  Book book;
  EXPECT_TRUE(pay(book, "k", "tok_ok"));
  EXPECT_FALSE(pay(book, "k", "tok_ok"));
  EXPECT_EQ(book.statement().size(), 1U);
}

TEST(Paying, RefusesAKeyThatCameWithAnotherRequest) {
  Book book;
  pay(book, "k", "tok_ok");
  PayRequest other = request("k", "tok_ok");
  other.amount = 1;
  EXPECT_EQ(book.pay(other, noon_ms).refusal, Refusal::key_reused);
}

TEST(Paying, AnErrorLeavesNothingAndTheSameKeyThenPays) {
  Book book;
  pay(book, "k", "tok_error_then_ok");
  EXPECT_EQ(book.find("k")->kind, Entry::Kind::erred);
  EXPECT_TRUE(book.statement().empty());
  pay(book, "k", "tok_error_then_ok");
  EXPECT_EQ(book.find("k")->payment->status, PaymentStatus::captured);
}

TEST(Voiding, OfAnUnknownKeyRefusesTheLaterCapture) {
  Book book;
  act(book, book.withdraw("k", noon_ms));
  EXPECT_FALSE(pay(book, "k", "tok_ok"));
  EXPECT_EQ(book.find("k")->kind, Entry::Kind::withdrawn);
  EXPECT_TRUE(book.statement().empty());
}

TEST(Voiding, DoesNotUndoACapture) {
  Book book;
  pay(book, "k", "tok_ok");
  EXPECT_FALSE(act(book, book.withdraw("k", noon_ms)));
  EXPECT_EQ(book.find("k")->payment->status, PaymentStatus::captured);
}

TEST(Voiding, EndsAnAuthorisation) {
  Book book;
  pay(book, "k", "tok_ok", false);
  act(book, book.withdraw("k", noon_ms));
  const Payment& payment = *book.find("k")->payment;
  EXPECT_EQ(payment.status, PaymentStatus::voided);
  EXPECT_EQ(book.capture("c", payment.id, std::nullopt, noon_ms).refusal, Refusal::not_capturable);
  EXPECT_EQ(book.statement().at(0).kind, "void");
}

TEST(Capturing, TakesAtMostWhatWasAuthorised) {
  Book book;
  pay(book, "k", "tok_ok", false);
  const std::string id = book.find("k")->payment->id;
  EXPECT_EQ(book.capture("c", id, 1'300, noon_ms).refusal, Refusal::not_capturable);
  EXPECT_TRUE(act(book, book.capture("c", id, 1'299, noon_ms)));
  EXPECT_EQ(book.statement().at(0).amount, 1'299);
}

TEST(Refunding, NeverGivesBackMoreThanWasCaptured) {
  Book book;
  pay(book, "k", "tok_ok");
  const std::string id = book.find("k")->payment->id;
  EXPECT_TRUE(act(book, book.refund("r1", id, 1'000, noon_ms)));
  EXPECT_EQ(book.refund("r2", id, 300, noon_ms).refusal, Refusal::not_refundable);
  EXPECT_TRUE(act(book, book.refund("r2", id, 299, noon_ms)));
  EXPECT_EQ(book.statement().back().amount, -299);
}

TEST(Refunding, RepeatsItsOutcomeUnderItsKey) {
  Book book;
  pay(book, "k", "tok_refund_fails_once");
  const std::string id = book.find("k")->payment->id;
  act(book, book.refund("r1", id, 1'299, noon_ms));
  EXPECT_EQ(book.find("r1")->status, "failed");
  EXPECT_FALSE(act(book, book.refund("r1", id, 1'299, noon_ms)));
  act(book, book.refund("r2", id, 1'299, noon_ms));
  EXPECT_EQ(book.find("r2")->status, "succeeded");
}

TEST(Refunding, IsRefusedForAVoidedKey) {
  Book book;
  pay(book, "k", "tok_ok");
  act(book, book.withdraw("r1", noon_ms));
  EXPECT_FALSE(act(book, book.refund("r1", book.find("k")->payment->id, 1'299, noon_ms)));
  EXPECT_EQ(book.statement().size(), 1U);
}

TEST(Refunding, TokRefundRefusedNeverSucceeds) {
  Book book;
  pay(book, "k", "tok_refund_refused");
  const std::string id = book.find("k")->payment->id;
  for (int i = 0; i < 3; ++i) {
    const std::string key = "r" + std::to_string(i);
    act(book, book.refund(key, id, 1, noon_ms));
    EXPECT_EQ(book.find(key)->code, "refund_refused");
  }
}

}  // namespace
}  // namespace stoa::simulator
