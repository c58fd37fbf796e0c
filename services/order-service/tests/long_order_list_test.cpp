#include <format>

#include <gtest/gtest.h>

#include "servicekit/testing/run.hpp"

#include "services/order-service/tests/stores.hpp"

namespace stoa::order {
namespace {

using testing_support::run_on;

TEST(LongOrderListTest, IsCountedToALimit) {
  Loops loops{1};
  PostgresStores stores{loops};
  const auto add = [&](std::int64_t from, std::int64_t to) {
    stores.sql(std::format(
        "INSERT INTO orders (id, number, customer_id, reservation_id, status, version, currency,"
        " subtotal_minor, discount_minor, tax_minor, shipping_minor, total_minor, facts,"
        " shipping_address, shipping_method, created_at)"
        " SELECT gen_random_uuid(), n, '{}', gen_random_uuid(),"
        " CASE n % 2 WHEN 0 THEN 'paid' ELSE 'cancelled' END, 1, 'EUR', 1, 0, 0, 0, 1, '{{}}',"
        " '{{}}', '', now() FROM generate_series({}, {}) AS n",
        user_id(1).uuid.str(), from, to));
  };
  const auto expect = [&](ListTotal total) {
    for (ListOrders query : {ListOrders{.customer = user_id(1)}, ListOrders{},
                             ListOrders{.statuses = {Status::paid, Status::cancelled}}}) {
      query.limit = 0;  // these rows are no orders that could be read
      query.with_total = true;
      EXPECT_EQ(run_on(loops, stores.store().list({}, query)).total, total);
    }
  };
  add(1, list_counted_max);
  expect({.count = list_counted_max, .exact = true});
  add(0, 0);
  expect({.count = list_counted_max, .exact = false});
}

}  // namespace
}  // namespace stoa::order
