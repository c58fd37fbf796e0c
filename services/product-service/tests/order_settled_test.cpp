#include "services/product-service/adapters/order_settled.hpp"

#include <format>

#include <gtest/gtest.h>

#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"

#include "services/product-service/tests/fake_stock_store.hpp"
#include "services/product-service/tests/samples.hpp"

namespace stoa::product {
namespace {

using messaging::Event;
using messaging::Verdict;

struct NoOrders final : OrderReservations {
  Task<ReservationFate> abandon(Context, ReservationId, Uuid) override {
    co_return ReservationFate{.abandoned = true, .order_status = ""};
  }
};

class OrderSettledTest : public testing::Test {
 protected:
  ReservationId reserve_one() {
    const NewProduct product = new_product("Teapot", {1});
    shop_.put(*make_product(product));
    shop_.move_stock(product.variants[0].id, {.delta = 1, .kind = "initial"});
    const auto command = wanted({{product.variants[0].id, 1}});
    EXPECT_TRUE(testing_support::run(reservations_.reserve({}, command)));
    return command.id;
  }

  static Event event(std::string type, const std::string& reservation) {
    Event event;
    event.type = std::move(type);
    event.version = 1;
    event.data = std::format(R"({{"reservation_id":"{}"}})", reservation);
    return event;
  }

  std::vector<Verdict::Kind> handle(std::vector<Event> events) {
    std::vector<Verdict::Kind> kinds;
    for (const Verdict& verdict : testing_support::run(settled_.handle({}, std::move(events)))) {
      kinds.push_back(verdict.kind);
    }
    return kinds;
  }

  FakeShop shop_;
  FakeStockStore stock_{shop_};
  NoOrders orders_;
  CountingCache cache_;
  Reservations reservations_{stock_, orders_, cache_};
  telemetry::Telemetry telemetry_{{.service = "order_settled_test", .log_level = "error"}};
  OrderSettled settled_{reservations_, telemetry_};
};

TEST_F(OrderSettledTest, CommitsWhatAPaidOrderReserved) {
  const auto id = reserve_one();
  EXPECT_EQ(handle({event("order.paid", id.str())}), std::vector{Verdict::Kind::done});
  EXPECT_EQ(stock_.rows.at(id).state, ReservationState::committed);
}

TEST_F(OrderSettledTest, RefusesWhatItCannotRead) {
  EXPECT_EQ(handle({event("order.paid", "ord_1"), event("order.placed", reserve_one().str())}),
            (std::vector{Verdict::Kind::refuse, Verdict::Kind::refuse}));
}

// Stock is reserved before its order is stored, so the reservation is not late: the database was
// set back, and the stock that it held with it.
TEST_F(OrderSettledTest, HasNothingToDoForAReservationThatIsLost) {
  const auto id = reserve_one();
  stock_.rows.clear();
  EXPECT_EQ(handle({event("order.paid", id.str()), event("order.cancelled", id.str())}),
            (std::vector{Verdict::Kind::done, Verdict::Kind::done}));
}

}  // namespace
}  // namespace stoa::product
