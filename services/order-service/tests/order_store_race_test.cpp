#include <set>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_postgres.hpp"
#include "servicekit/testing/run.hpp"

#include "services/order-service/adapters/order_events.hpp"
#include "services/order-service/adapters/pg_order_store.hpp"
#include "services/order-service/app/orders.hpp"
#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {

std::span<const postgres::Migration> migrations();

namespace {

using testing_support::PrivatePostgres;

/// What only shows when many do it at once, on PostgreSQL.
class Races : public testing::Test {
 protected:
  Races() { database_.start(); }

  std::string sql(const std::string& statements) { return PrivatePostgres::sql(dsn_, statements); }

  PlaceOrder command(std::uint8_t number) {
    return {.wanted = {{.variant = variant_id(7), .quantity = 1}},
            .currency = currencies::eur,
            .shipping_address = some_address(),
            .shipping_method = "standard",
            .payment_token = "tok_ok",
            .customer = user_id(1),
            .key = {.caller = user_id(1).str(),
                    .origin = origin_of(number),
                    .fingerprint = std::string(64, 'a')}};
  }

  // Runs everything at once and waits for all of it.
  void together(std::vector<Task<>> tasks) {
    std::size_t left = tasks.size();
    loops_.at(0).restart();
    for (auto& task : tasks) {
      boost::asio::co_spawn(loops_.at(0), std::move(task), [&](const std::exception_ptr& failure) {
        failures_ += failure ? 1 : 0;
        if (--left == 0) loops_.stop();
      });
    }
    loops_.run();
  }

  static Task<> place(Orders* orders, PlaceOrder command, std::set<std::string>* bodies) {
    const auto answer = co_await orders->place({}, std::move(command));
    if (answer) bodies->insert(answer->body);
  }
  static Task<> abandon(OrderStore* store, ReservationId id, Origin origin) {
    co_await store->abandon({}, id, origin);
  }
  static Task<> claim(OrderStore* store, std::vector<OrderId>* claimed) {
    const auto overdue = co_await store->claim_overdue({}, 10);
    for (const Overdue& order : overdue) claimed->push_back(order.id);
  }
  static Task<> apply(OrderStore* store, std::vector<PaymentFact> facts) {
    co_await store->apply({}, std::move(facts));
  }
  static Task<> cancel(Orders* orders, OrderId id) {
    co_await orders->cancel({}, {.id = id, .viewer = {.user = user_id(1)}, .key = {}});
  }

  Secret<> dsn_ = PrivatePostgres::shared().database(migrations());
  Loops loops_{1};
  telemetry::Telemetry telemetry_{{.service = "order_store_race_test", .log_level = "error"}};
  postgres::Database database_{
      loops_,
      {.dsn = dsn_, .application_name = "order_store_race_test", .pipelines = 8},
      telemetry_};
  PgOrderStore store_{database_, telemetry_, test_patience};
  FakeStock stock_;
  FakePayments payments_;
  FakePublisher publisher_;
  Orders orders_{
      stock_,
      payments_,
      store_,
      publisher_,
      {.next_id = [] { return OrderId{crypto::new_uuid()}; },
       .now = [] { return noon; },
       .render_placed =
           [](const Order& order) { return Answer{.status = 201, .body = order.id.str()}; },
       .render_cancelling = [](const Order&) { return Answer{.status = 202}; },
       .lost_event_id = [](const OrderId&, PaymentResult) { return uuid(200, 9); }}};
  int failures_ = 0;
};

TEST_F(Races, TwinsMakeOneOrderAndAreAnsweredAlike) {
  constexpr std::uint8_t count = 20;
  std::vector<std::set<std::string>> bodies(count);
  std::vector<Task<>> tasks;
  for (int twin = 0; twin < 10; ++twin) {
    for (std::uint8_t number = 0; number < count; ++number) {
      tasks.push_back(place(&orders_, command(number), &bodies[number]));
    }
  }
  together(std::move(tasks));
  EXPECT_EQ(failures_, 0);
  for (const auto& answers : bodies) EXPECT_EQ(answers.size(), 1U);
  EXPECT_EQ(sql("SELECT count(*) FROM orders"), "20");
  EXPECT_EQ(sql("SELECT count(*) FROM outbox"), "20");
  EXPECT_EQ(sql("SELECT count(*) FROM idempotency_keys"), "20");
}

// The one event that SQL writes: it says what the others of its type say.
TEST_F(Races, ALostOrderIsAskedBackInTheWordsOfACancel) {
  std::vector<Task<>> tasks;
  tasks.push_back(apply(&store_, {{.event = uuid(9, 1),
                                   .order = order_id(1),
                                   .customer = user_id(1),
                                   .result = PaymentResult::captured,
                                   .reason = std::nullopt,
                                   .traceparent = ""}}));
  together(std::move(tasks));
  EXPECT_EQ(sql("SELECT data = '" + cancel_requested(order_id(1), user_id(1), "expired") +
                "'::jsonb FROM outbox"),
            "t");
}

TEST_F(Races, NoOrderStandsOnATombstone) {
  constexpr std::uint8_t count = 50;
  std::vector<std::set<std::string>> bodies(count);
  std::vector<Task<>> tasks;
  for (std::uint8_t number = 0; number < count; ++number) {
    for (int twin = 0; twin < 3; ++twin) {
      tasks.push_back(place(&orders_, command(number), &bodies[number]));
    }
    tasks.push_back(abandon(&store_, reservation_for(origin_of(number), 0), origin_of(number)));
  }
  together(std::move(tasks));
  EXPECT_EQ(sql("SELECT count(*) FROM orders o JOIN reservation_claims c USING (reservation_id)"
                " WHERE c.order_id IS DISTINCT FROM o.id"),
            "0");
  EXPECT_EQ(sql("SELECT count(*) FROM orders"),
            sql("SELECT count(*) FROM reservation_claims WHERE order_id IS NOT NULL"));
  EXPECT_EQ(sql("SELECT count(*) FROM orders"), sql("SELECT count(*) FROM outbox"));
  for (const auto& answers : bodies) EXPECT_LE(answers.size(), 1U);
}

TEST_F(Races, TwoSweepsGetDifferentOrders) {
  constexpr std::uint8_t count = 60;
  std::vector<std::set<std::string>> bodies(count);
  std::vector<Task<>> tasks;
  for (std::uint8_t number = 0; number < count; ++number) {
    tasks.push_back(place(&orders_, command(number), &bodies[number]));
  }
  together(std::move(tasks));
  sql("DELETE FROM outbox; UPDATE orders SET check_at = now() - interval '1 second'");

  std::vector<OrderId> claimed;
  std::vector<Task<>> sweeps;
  for (int i = 0; i < 8; ++i) sweeps.push_back(claim(&store_, &claimed));
  together(std::move(sweeps));
  EXPECT_EQ(claimed.size(), std::set<OrderId>(claimed.begin(), claimed.end()).size());
  EXPECT_EQ(claimed.size(), 60U);
}

TEST_F(Races, APaymentAndACancelEndInOneOfTwoWays) {
  constexpr std::uint8_t count = 40;
  std::vector<std::set<std::string>> bodies(count);
  std::vector<Task<>> tasks;
  for (std::uint8_t number = 0; number < count; ++number) {
    tasks.push_back(place(&orders_, command(number), &bodies[number]));
  }
  together(std::move(tasks));

  std::vector<Task<>> both;
  std::uint8_t event = 0;
  for (const auto& answers : bodies) {
    const auto id = *OrderId::parse(*answers.begin());
    both.push_back(cancel(&orders_, id));
    both.push_back(apply(&store_, {{.event = uuid(++event, 9),
                                    .order = id,
                                    .customer = user_id(1),
                                    .result = PaymentResult::declined,
                                    .reason = "late",
                                    .traceparent = ""}}));
  }
  together(std::move(both));
  EXPECT_EQ(failures_, 0);
  // A decline ends a pending order and a cancelling one; no order may be left on its way.
  EXPECT_EQ(sql("SELECT count(*) FROM orders WHERE status NOT IN ('payment_failed', 'cancelled')"),
            "0");
  EXPECT_EQ(sql("SELECT count(*) FROM inbox"), "40");
  EXPECT_EQ(sql("SELECT count(*) FROM orders o WHERE o.version <>"
                " (SELECT count(*) FROM order_history h WHERE h.order_id = o.id)"),
            "0");
}

}  // namespace
}  // namespace stoa::order
