#include "services/payment-service/app/charges.hpp"

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/testing/run.hpp"

#include "services/payment-service/app/refunds.hpp"
#include "services/payment-service/tests/fake_payment_store.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;

constexpr Money price{1'299, currencies::eur};

/// A provider that keeps its word per key and is silent when told so.
class FakeProvider final : public Provider {
 public:
  int silent_charges = 0;  ///< the next so many charges are made but not answered
  int lost_charges = 0;    ///< the next so many charges never arrive
  int silent_refunds = 0;
  bool away = false;
  bool refuses_refunds = false;
  std::vector<std::string> calls;
  std::map<AttemptId, ChargeOutcome> charged;
  std::map<RefundId, RefundOutcome> refunded;

  Task<ChargeOutcome> charge(Context, Charge charge) override {
    note("charge");
    if (lost_charges > 0) {
      --lost_charges;
      throw Unavailable{"lost"};
    }
    using Kind = ChargeOutcome::Kind;
    const Kind kind = charge.token == "tok_ok" ? Kind::captured : Kind::declined;
    charged.try_emplace(charge.attempt,
                        ChargeOutcome{.kind = kind, .provider_payment = "psp", .reason = "no"});
    if (silent_charges > 0) {
      --silent_charges;
      throw Unavailable{"silent"};
    }
    co_return charged.at(charge.attempt);
  }

  Task<std::optional<ChargeOutcome>> ask_charge(Context, AttemptId key) override {
    note("ask");
    const auto found = charged.find(key);
    if (found == charged.end()) co_return std::nullopt;
    co_return found->second;
  }

  Task<ChargeOutcome> void_charge(Context, AttemptId key) override {
    note("void");
    charged.try_emplace(key, ChargeOutcome{.kind = ChargeOutcome::Kind::voided});
    co_return charged.at(key);
  }

  Task<RefundOutcome> refund(Context, RefundCall call) override {
    note("refund");
    using Kind = RefundOutcome::Kind;
    const RefundOutcome outcome{.kind = refuses_refunds ? Kind::failed : Kind::succeeded,
                                .failure = "refund_refused"};
    refunded.try_emplace(call.refund.id, outcome);
    if (silent_refunds > 0) {
      --silent_refunds;
      throw Unavailable{"silent"};
    }
    co_return refunded.at(call.refund.id);
  }

  Task<std::optional<RefundOutcome>> ask_refund(Context, RefundId key) override {
    note("ask_refund");
    const auto found = refunded.find(key);
    if (found == refunded.end()) co_return std::nullopt;
    co_return found->second;
  }

  Task<std::optional<RefundOutcome>> void_refund(Context, RefundId key) override {
    note("void_refund");
    const auto found = refunded.find(key);
    if (found == refunded.end()) co_return std::nullopt;
    co_return found->second;
  }

 private:
  void note(std::string call) {
    calls.push_back(std::move(call));
    if (away) throw Unavailable{"away"};
  }
};

class ChargesTest : public testing::Test {
 protected:
  using Calls = std::vector<std::string>;

  template <class T>
  T run(Task<T> task) {
    return testing_support::run_on(loops_, std::move(task));
  }

  static PlacedOrder order(const std::string& token = "tok_ok") {
    return {.event = crypto::new_uuid(),
            .order = {crypto::new_uuid()},
            .customer = {crypto::new_uuid()},
            .amount = price,
            .token = token,
            .traceparent = "",
            .payment = {crypto::new_uuid()},
            .attempt = {crypto::new_uuid()}};
  }

  void place(const PlacedOrder& each) { run(open_and_settle(charges_, {each})); }
  static Task<> open_and_settle(Charges& charges, std::vector<PlacedOrder> orders) {
    co_await charges.open({}, std::move(orders));
    co_await sleep_for(10ms);
  }
  static Task<> open_and_stop(Charges& charges, std::vector<PlacedOrder> orders) {
    co_await charges.open({}, std::move(orders));
    co_await charges.stop(5s);
  }
  /// A while later: every lease and pause has ended.
  void later() {
    store_.now += 1h;
    run(sweep_and_settle(charges_, refunds_));
  }
  static Task<> sweep_and_settle(Charges& charges, Refunds& refunds) {
    co_await charges.sweep({});
    co_await refunds.sweep({});
    co_await sleep_for(10ms);
  }
  void cancel(const PlacedOrder& each) {
    run(cancel_and_settle(refunds_, {.event = crypto::new_uuid(),
                                     .order = each.order,
                                     .customer = each.customer,
                                     .traceparent = "",
                                     .spare_payment = {crypto::new_uuid()}}));
  }
  static Task<> cancel_and_settle(Refunds& refunds, Cancellation cancellation) {
    co_await refunds.close_order({}, std::move(cancellation));
    co_await sleep_for(10ms);
  }
  const Payment& payment(const PlacedOrder& each) { return store_.payments.at(each.order); }

  Loops loops_{1};
  FakePaymentStore store_;
  FakeProvider provider_;
  Refunds refunds_{loops_, store_, provider_, [] { return 1.0; }, {}};
  Charges charges_{loops_, store_, provider_, [] { return 1.0; }, [this] { refunds_.wake(); }, {}};
};

TEST_F(ChargesTest, ChargesAnOrderWithoutAskingFirst) {
  const auto placed = order();
  place(placed);
  EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
  EXPECT_EQ(provider_.calls, Calls{"charge"});
}

TEST_F(ChargesTest, DeclinesByTheProvidersWordOnly) {
  const auto placed = order("tok_declined");
  place(placed);
  EXPECT_EQ(payment(placed).status, PaymentStatus::declined);
  EXPECT_EQ(payment(placed).decline_reason, "no");
}

TEST_F(ChargesTest, ASilentCaptureIsFoundByItsStatusAndNeverChargedAgain) {
  provider_.silent_charges = 1;
  const auto placed = order();
  place(placed);
  EXPECT_EQ(payment(placed).status, PaymentStatus::pending);
  later();
  EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
  EXPECT_EQ(provider_.calls, (Calls{"charge", "ask"}));
}

TEST_F(ChargesTest, ALostRequestIsSentAgainUnderItsKey) {
  provider_.lost_charges = 1;
  const auto placed = order();
  place(placed);
  later();
  EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
  EXPECT_EQ(provider_.calls, (Calls{"charge", "ask", "charge"}));
  EXPECT_EQ(provider_.charged.size(), 1U);
}

TEST_F(ChargesTest, ALostRequestOfAClosedOrderIsMadeVoid) {
  provider_.lost_charges = 1;
  const auto placed = order();
  place(placed);
  cancel(placed);
  later();
  EXPECT_EQ(payment(placed).status, PaymentStatus::voided);
  EXPECT_EQ(provider_.calls, (Calls{"charge", "ask", "void"}));
}

TEST_F(ChargesTest, ASilentCaptureOfAClosedOrderGoesBack) {
  provider_.silent_charges = 1;
  const auto placed = order();
  place(placed);
  cancel(placed);
  later();
  later();
  EXPECT_EQ(state_for_order(payment(placed)), "refunded");
  EXPECT_TRUE(store_.told.back().second.closes_order);
}

TEST_F(ChargesTest, AnAttemptStaysUnknownWhileTheProviderIsAway) {
  provider_.away = true;
  const auto placed = order();
  place(placed);
  later();
  later();
  EXPECT_EQ(payment(placed).status, PaymentStatus::pending);
  EXPECT_EQ(store_.attempts.at(placed.attempt).charge.tries, 3);
  provider_.away = false;
  later();
  EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
}

TEST_F(ChargesTest, ASilentRefundIsFoundByItsStatus) {
  const auto placed = order();
  place(placed);
  provider_.silent_refunds = 1;
  cancel(placed);
  EXPECT_EQ(payment(placed).refunded_minor, 0);
  later();
  EXPECT_EQ(payment(placed).refunded_minor, 1'299);
  EXPECT_EQ(provider_.calls, (Calls{"charge", "refund", "ask_refund"}));
}

TEST_F(ChargesTest, ARefusedClosingRefundIsTriedUnderANewKey) {
  provider_.refuses_refunds = true;
  const auto placed = order();
  place(placed);
  cancel(placed);
  later();
  later();
  EXPECT_GE(provider_.refunded.size(), 3U);
  EXPECT_EQ(payment(placed).refunded_minor, 0);
  provider_.refuses_refunds = false;
  later();
  EXPECT_EQ(state_for_order(payment(placed)), "refunded");
}

TEST_F(ChargesTest, SettlingByHandVoidsTheKeyFirst) {
  const auto placed = order();
  place(placed);
  provider_.away = true;
  cancel(placed);
  provider_.away = false;
  const RefundId id = store_.refund_rows.begin()->first;
  const auto standing = run(refunds_.settle_by_hand({}, id, "transfer"));
  ASSERT_TRUE(standing);
  EXPECT_EQ(standing->kind, RefundOutcome::Kind::failed);
  EXPECT_EQ(provider_.calls.back(), "void_refund");
  EXPECT_EQ(state_for_order(payment(placed)), "refunded");
  EXPECT_EQ(run(refunds_.settle_by_hand({}, id, "again")).error().code, "refund_not_open");
}

TEST_F(ChargesTest, SettlingByHandFindsThatTheProviderHadDoneIt) {
  const auto placed = order();
  place(placed);
  provider_.silent_refunds = 1;
  cancel(placed);
  const RefundId id = store_.refund_rows.begin()->first;
  const auto standing = run(refunds_.settle_by_hand({}, id, "transfer"));
  ASSERT_TRUE(standing);
  EXPECT_EQ(standing->kind, RefundOutcome::Kind::succeeded);
  EXPECT_EQ(store_.ledger.back().second.account, Account::refunded_payments);
}

TEST_F(ChargesTest, ManyOrdersAreAllChargedOnce) {
  std::vector<PlacedOrder> orders;
  for (int i = 0; i < 1'000; ++i) orders.push_back(order());
  run(open_and_settle(charges_, orders));
  for (int i = 0; i < 5; ++i) later();
  for (const auto& placed : orders) {
    EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
  }
  EXPECT_EQ(provider_.charged.size(), 1'000U);
}

TEST_F(ChargesTest, StoppingFinishesWhatIsInHandAndTakesNothingMore) {
  const auto placed = order();
  run(open_and_stop(charges_, {placed}));
  EXPECT_EQ(payment(placed).status, PaymentStatus::captured);
  store_.now += 1h;
  const auto next = order();
  place(next);
  EXPECT_EQ(payment(next).status, PaymentStatus::pending);
}

}  // namespace
}  // namespace stoa::payment
