#include "services/order-service/domain/order.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace stoa::order {
namespace {

using enum Status;
using currencies::eur;
using currencies::usd;

constexpr Instant noon{std::chrono::hours{12}};
constexpr Money euro{100, eur};

VariantId variant(std::uint8_t number) {
  VariantId id;
  id.uuid.bytes[15] = number;
  return id;
}

Origin origin(std::uint8_t number) {
  Origin origin{};
  origin.value.bytes[0] = number;
  return origin;
}

WantedLine wanted(std::uint32_t quantity, std::uint8_t number = 7) {
  return {.variant = variant(number), .quantity = quantity};
}

std::vector<WantedLine> many(std::size_t count) {
  std::vector<WantedLine> lines;
  for (std::size_t i = 0; i < count; ++i) {
    lines.push_back(wanted(1, static_cast<std::uint8_t>(i)));
  }
  return lines;
}

PricedLine line(std::uint32_t quantity, Money unit_price = euro) {
  return {.variant = variant(7),
          .sku = "SKU-7",
          .name = "Teapot",
          .quantity = quantity,
          .unit_price = unit_price};
}

Result<Order> place(std::vector<PricedLine> lines) {
  return order::place({.id = {},
                       .number = {100'042},
                       .customer = {},
                       .reservation = {},
                       .lines = std::move(lines),
                       .currency = eur,
                       .shipping_address = {},
                       .shipping_method = "standard",
                       .now = noon});
}

Order in(Status status) {
  Order order = *place({line(1)});
  order.status = status;
  return order;
}

TEST(PlaceOrder, TotalsEveryLineInMinorUnits) {
  const auto order = place({line(2), line(1, Money{50, eur})});

  ASSERT_TRUE(order);
  EXPECT_EQ(order->lines[0].total, (Money{200, eur}));
  EXPECT_EQ(order->amounts.subtotal, (Money{250, eur}));
  EXPECT_EQ(order->amounts.total, (Money{250, eur}));
  EXPECT_EQ(order->status, pending);
  EXPECT_EQ(order->version, 1);
}

TEST(PlaceOrder, RefusesAnotherCurrencyThanTheOneAskedFor) {
  EXPECT_EQ(place({line(1), line(1, Money{100, usd})}).error().code, "mixed_currencies");
  EXPECT_EQ(place({line(1, Money{100, usd})}).error().code, "mixed_currencies");
}

TEST(PlaceOrder, RefusesATotalBeyondWhatTheWireCarries) {
  const Money most{Money::wire_max, eur};

  EXPECT_TRUE(place({line(1, most)}));
  EXPECT_EQ(place({line(2, most)}).error().code, "total_overflow");
  EXPECT_EQ(place({line(1, most), line(1, Money{1, eur})}).error().code, "total_overflow");
}

TEST(PlaceOrder, RefusesWhatCostsNothing) {
  EXPECT_EQ(place({line(1, Money{0, eur})}).error().code, "nothing_to_pay");
  EXPECT_TRUE(place({line(1, Money{0, eur}), line(1, Money{1, eur})}));
}

TEST(OrderNumber, IsShortEnoughToBeSaid) { EXPECT_EQ(text(OrderNumber{100'042}), "S-100042"); }

struct Refusal {
  const char* name;
  std::vector<WantedLine> wanted;
  std::string_view code;
  std::string_view pointer;
};

class CheckWantedRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CheckWantedRefuses, WithItsOwnCode) {
  const auto checked = check_wanted(GetParam().wanted);

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, GetParam().code);
  EXPECT_EQ(checked.error().fields.empty() ? "" : checked.error().fields[0].pointer,
            GetParam().pointer);
}

// One row for each refusal, in the order check_wanted() makes them.
INSTANTIATE_TEST_SUITE_P(
    Rules, CheckWantedRefuses,
    testing::Values(Refusal{"NoLines", {}, "order_empty", ""},
                    Refusal{"OneLineTooMany", many(line_count_max + 1), "too_many_lines", ""},
                    Refusal{"ZeroQuantity", {wanted(0)}, "bad_quantity", "/lines/0/quantity"},
                    Refusal{"QuantityAboveLimit",
                            {wanted(1, 1), wanted(line_quantity_max + 1, 2)},
                            "bad_quantity",
                            "/lines/1/quantity"},
                    Refusal{"OneVariantTwice",
                            {wanted(1), wanted(1, 1), wanted(1)},
                            "duplicate_variant",
                            "/lines/2/variant_id"}),
    [](const auto& refusal) { return refusal.param.name; });

TEST(CheckWanted, AcceptsBothEdges) {
  EXPECT_TRUE(check_wanted({wanted(1, 1), wanted(line_quantity_max, 2)}));
  EXPECT_TRUE(check_wanted(many(line_count_max)));
}

TEST(Reservation, IsTheSameForTheSameOriginAndGenerationOnly) {
  EXPECT_EQ(reservation_for(origin(1), 0), reservation_for(origin(1), 0));
  EXPECT_NE(reservation_for(origin(1), 0), reservation_for(origin(1), 1));
  EXPECT_NE(reservation_for(origin(1), 1), reservation_for(origin(1), 256));
  EXPECT_NE(reservation_for(origin(1), 0), reservation_for(origin(2), 0));
}

TEST(Status, IsReadAsItIsNamed) {
  for (const Status status : {pending, paid, payment_failed, cancelling, cancelled}) {
    EXPECT_EQ(parse_status(name(status)), status);
  }
  EXPECT_EQ(parse_status("refunded"), std::nullopt);
}

struct Move {
  Status from;
  PaymentResult result;
  std::optional<Status> to;
};

class PaymentMoves : public testing::TestWithParam<Move> {};

TEST_P(PaymentMoves, AsTheTableSays) {
  EXPECT_EQ(after(GetParam().from, GetParam().result), GetParam().to);
}

// Every state meets every result: what is not named here as a move changes nothing.
INSTANTIATE_TEST_SUITE_P(
    Table, PaymentMoves,
    testing::Values(Move{pending, PaymentResult::captured, paid},
                    Move{pending, PaymentResult::declined, payment_failed},
                    Move{pending, PaymentResult::voided, std::nullopt},
                    Move{pending, PaymentResult::refunded_to_close, std::nullopt},
                    Move{paid, PaymentResult::captured, std::nullopt},
                    Move{paid, PaymentResult::declined, std::nullopt},
                    Move{paid, PaymentResult::voided, std::nullopt},
                    Move{paid, PaymentResult::refunded_to_close, std::nullopt},
                    Move{payment_failed, PaymentResult::captured, std::nullopt},
                    Move{payment_failed, PaymentResult::declined, std::nullopt},
                    Move{payment_failed, PaymentResult::voided, std::nullopt},
                    Move{payment_failed, PaymentResult::refunded_to_close, std::nullopt},
                    Move{cancelling, PaymentResult::captured, std::nullopt},
                    Move{cancelling, PaymentResult::declined, cancelled},
                    Move{cancelling, PaymentResult::voided, cancelled},
                    Move{cancelling, PaymentResult::refunded_to_close, cancelled},
                    Move{cancelled, PaymentResult::captured, std::nullopt},
                    Move{cancelled, PaymentResult::declined, std::nullopt},
                    Move{cancelled, PaymentResult::voided, std::nullopt},
                    Move{cancelled, PaymentResult::refunded_to_close, std::nullopt}));

TEST(LostOrder, IsOwedBackOnlyWhatWasCaptured) {
  EXPECT_TRUE(holds_money(PaymentResult::captured));
  for (const auto result :
       {PaymentResult::declined, PaymentResult::voided, PaymentResult::refunded_to_close}) {
    EXPECT_FALSE(holds_money(result));
  }
}

TEST(CancelOrder, MovesWhatIsPendingOrPaid) {
  for (const Status status : {pending, paid}) {
    const auto moved = cancel(in(status), CancelReason::customer, noon);
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->status, cancelling);
    EXPECT_EQ(moved->version, 2);
    EXPECT_EQ(moved->reason, "customer");
  }
}

TEST(CancelOrder, AskedTwiceIsAskedOnce) {
  for (const Status status : {cancelling, cancelled}) {
    const auto same = cancel(in(status), CancelReason::customer, noon);
    ASSERT_TRUE(same);
    EXPECT_EQ(same->status, status);
    EXPECT_EQ(same->version, 1);
  }
}

TEST(CancelOrder, RefusesWhatHasFailed) {
  EXPECT_EQ(cancel(in(payment_failed), CancelReason::staff, noon).error().code, "invalid_state");
}

TEST(OverdueOrder, TakesWhatPaymentServiceKnowsOrIsCancelled) {
  EXPECT_EQ(overdue_result(PaymentState::captured), PaymentResult::captured);
  EXPECT_EQ(overdue_result(PaymentState::declined), PaymentResult::declined);
  for (const auto state :
       {PaymentState::none, PaymentState::unknown, PaymentState::voided, PaymentState::refunded}) {
    EXPECT_EQ(overdue_result(state), std::nullopt);
  }
}

}  // namespace
}  // namespace stoa::order
