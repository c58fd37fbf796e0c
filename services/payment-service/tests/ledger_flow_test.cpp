#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "servicekit/async/if_available.hpp"

#include "services/payment-service/tests/payment_flow.hpp"

namespace stoa::payment {
namespace {

using namespace std::chrono_literals;

Task<> ask_for_refund(PgPaymentStore& store, PaymentId payment, int& accepted, int& open) {
  RefundRequest request{.id = {crypto::new_uuid()},
                        .payment = payment,
                        .amount = Money{100, currencies::eur},
                        .reason = "broken",
                        .requested_by = "usr",
                        .traceparent = ""};
  RequestKey key{
      .origin = crypto::new_uuid(), .caller = "usr", .fingerprint = std::string(64, 'a')};
  Answer answer{.status = 202, .headers = "", .body = "{}"};
  Context context;
  context = context.within(10s);
  const auto outcome = co_await store.request_refund(std::move(context), std::move(request),
                                                     std::move(key), std::move(answer));
  if (outcome) ++accepted;
  --open;
}

Task<> race_refunds(Loops& loops, PgPaymentStore& store, PaymentId payment, int& accepted) {
  int open = 20;
  for (int i = 0; i < 20; ++i) {
    spawn(loops.at(0), "race", ask_for_refund(store, payment, accepted, open));
  }
  // NOLINTNEXTLINE(bugprone-infinite-loop): each of those spawned counts it down
  while (open > 0) co_await sleep_for(5ms);
}

/// As the provider would be asked for it; nobody here has ordered it.
Charge charge_for(OrderId order) {
  return {.attempt = {crypto::new_uuid()},
          .payment = {crypto::new_uuid()},
          .order = order,
          .customer = {},
          .amount = Money{777, currencies::eur},
          .token = "tok_ok",
          .traceparent = ""};
}

TEST_F(PaymentFlowTest, TwentyParallelRefundsNeverExceedTheCapture) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok", 1'050)});
  ASSERT_TRUE(reaches(order, "captured"));
  const PaymentId payment = run(replica_.store.payment_of_order(soon(), order))->id;
  int accepted = 0;
  run(race_refunds(loops_, replica_.store, payment, accepted));
  EXPECT_EQ(accepted, 10);
  EXPECT_EQ(sql("SELECT refund_pending_minor FROM payments"), "1000");
  while (count("refunds WHERE status = 'succeeded'") < 10) {
    run(if_available(replica_.refunds.sweep(soon())));
    run(sleep_for(20ms));
  }
  EXPECT_EQ(cash(), 50);
  expect_books_agree();
}

TEST_F(PaymentFlowTest, TheLedgerRefusesWhatDoesNotSumToZero) {
  const std::string half =
      "INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES (gen_random_uuid(), 1, 'provider_cash', 5, 'EUR', 'capture')";
  EXPECT_THROW(sql(half), std::runtime_error);
  EXPECT_EQ(count("ledger_entries"), 0);
}

TEST_F(PaymentFlowTest, TheLedgerRefusesTwoCurrenciesThatOnlyTogetherSumToZero) {
  const std::string mixed =
      "INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES ('00000000-0000-7000-8000-000000000001', 1, 'provider_cash', 5, 'EUR', 'capture'), "
      "('00000000-0000-7000-8000-000000000001', 2, 'captured_payments', -5, 'USD', 'capture')";
  EXPECT_THROW(sql(mixed), std::runtime_error);
}

TEST_F(PaymentFlowTest, TheLedgerIsAppendOnlyForEverybody) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "captured"));
  EXPECT_THROW(sql("UPDATE ledger_entries SET amount_minor = amount_minor * 2"),
               std::runtime_error);
  EXPECT_THROW(sql("DELETE FROM ledger_entries"), std::runtime_error);
  EXPECT_THROW(sql("TRUNCATE ledger_entries"), std::runtime_error);
  EXPECT_THROW(sql("DELETE FROM ledger_accounts"), std::runtime_error);
  EXPECT_EQ(cash(), 1'299);
}

TEST_F(PaymentFlowTest, ReconcileFindsACaptureThatNobodyOrderedAndRepairsIt) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_ok")});
  ASSERT_TRUE(reaches(order, "captured"));
  const Charge planted = charge_for(new_order());
  run(replica_.provider.charge(soon(), planted));

  const auto found = reconcile();
  ASSERT_EQ(found.differences.size(), 1U);
  EXPECT_EQ(found.differences[0].kind, Difference::Kind::not_in_ledger);
  EXPECT_EQ(found.differences[0].transaction, planted.attempt.uuid);

  EXPECT_EQ(reconcile(true).repaired, 1U);
  expect_books_agree();
  EXPECT_EQ(cash(), 1'299);
  EXPECT_EQ(reconcile(true).repaired, 0U);
}

TEST_F(PaymentFlowTest, ARepairThatWasCutShortIsFinishedByTheNext) {
  const Charge planted = charge_for(new_order());
  run(replica_.provider.charge(soon(), planted));
  const auto found = reconcile();
  ASSERT_EQ(found.differences.size(), 1U);
  // The refund was made and the process died before it was booked.
  const RefundId key{crypto::name_based_uuid({"provider-key", "repair " + planted.attempt.str()})};
  ASSERT_TRUE(run(replica_.provider.refund_unexplained(soon(), found.differences[0].line, key)));
  EXPECT_EQ(reconcile().differences.size(), 2U);

  reconcile(true);
  expect_books_agree();
  EXPECT_EQ(cash(), 0);
}

TEST_F(PaymentFlowTest, ReconcileFindsABookingThatTheProviderDoesNotKnow) {
  sql("INSERT INTO ledger_entries (transaction_id, line, account, amount_minor, currency, kind) "
      "VALUES ('00000000-0000-7000-8000-000000000001', 1, 'provider_cash', 5, 'EUR', 'capture'), "
      "('00000000-0000-7000-8000-000000000001', 2, 'captured_payments', -5, 'EUR', 'capture'); "
      "SELECT 1");
  const auto report = reconcile(true);
  ASSERT_EQ(report.differences.size(), 1U);
  EXPECT_EQ(report.differences[0].kind, Difference::Kind::not_in_statement);
  EXPECT_EQ(report.repaired, 0U);
}

TEST_F(PaymentFlowTest, ACaptureThatIsOnItsWayIsNoDifference) {
  const OrderId order = new_order();
  placed({order_placed(order, "tok_timeout_after_capture")});
  run(sleep_for(150ms));
  const auto report = reconcile();
  EXPECT_EQ(report.in_flight, 1U);
  EXPECT_TRUE(report.differences.empty());
  ASSERT_TRUE(reaches(order, "captured"));
}

}  // namespace
}  // namespace stoa::payment
