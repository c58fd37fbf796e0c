#include "services/product-service/domain/reservation.hpp"

#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "services/product-service/domain/product.hpp"

namespace stoa::product {
namespace {

using enum ReservationState;

class Moves
    : public testing::TestWithParam<std::tuple<ReservationState, Settlement, ReservationState>> {};

TEST_P(Moves, OnlyForwards) {
  const auto [before, settlement, after] = GetParam();
  EXPECT_EQ(settled(before, settlement), after);
}

INSTANTIATE_TEST_SUITE_P(All, Moves,
                         testing::Values(std::tuple{active, Settlement::commit, committed},
                                         std::tuple{active, Settlement::release, released},
                                         std::tuple{active, Settlement::end, released},
                                         std::tuple{committed, Settlement::commit, committed},
                                         std::tuple{committed, Settlement::release, committed},
                                         std::tuple{committed, Settlement::end, restocked},
                                         std::tuple{released, Settlement::commit, released},
                                         std::tuple{released, Settlement::release, released},
                                         std::tuple{released, Settlement::end, released},
                                         std::tuple{restocked, Settlement::commit, restocked},
                                         std::tuple{restocked, Settlement::release, restocked},
                                         std::tuple{restocked, Settlement::end, restocked}));

TEST(SettlementOf, CommitsWhatWasPaidAndEndsTheRest) {
  EXPECT_EQ(settlement_of(OrderOutcome::paid), Settlement::commit);
  EXPECT_EQ(settlement_of(OrderOutcome::ended), Settlement::end);
}

TEST(OutcomeOfStatus, GuessesNothing) {
  EXPECT_EQ(outcome_of_status("paid"), OrderOutcome::paid);
  EXPECT_EQ(outcome_of_status("fulfilled"), OrderOutcome::paid);
  EXPECT_EQ(outcome_of_status("cancelled"), OrderOutcome::ended);
  EXPECT_EQ(outcome_of_status("payment_failed"), OrderOutcome::ended);
  for (const auto* status : {"pending", "cancelling", "", "unheard-of"}) {
    EXPECT_EQ(outcome_of_status(status), std::nullopt) << status;
  }
}

constexpr LineFacts fine{.known = true, .priced = true, .covered = true, .available = 9};

TEST(WhyRefused, NamesTheLineAndWhatIsThere) {
  const auto error =
      why_refused({fine, {.known = true, .priced = true, .covered = false, .available = 3}}, 0);

  EXPECT_EQ(error.code, "out_of_stock");
  EXPECT_EQ(error.kind, ErrorKind::conflict);
  ASSERT_EQ(error.fields.size(), 1U);
  EXPECT_EQ(error.fields[0], (FieldError{"/lines/1/quantity", "out_of_stock", "3 available"}));
}

TEST(WhyRefused, TellsTheWorstFirst) {
  const LineFacts unknown{};
  const LineFacts unpriced{.known = true};
  const LineFacts sold_out{.known = true, .priced = true};

  EXPECT_EQ(why_refused({unpriced, unknown}, 10).code, "variant_not_found");
  EXPECT_EQ(why_refused({unpriced, sold_out}, 10).code, "currency_not_available");
  EXPECT_EQ(why_refused({sold_out}, 10).code, "too_many_open_orders");
  EXPECT_EQ(why_refused({fine}, open_reservations_max).kind, ErrorKind::too_many);
  EXPECT_EQ(why_refused({sold_out}, 9).code, "out_of_stock");
}

TEST(CheckWanted, AcceptsBothEdges) {
  EXPECT_TRUE(check_wanted({{{}, 1}, {{}, line_quantity_max}}));
  EXPECT_FALSE(check_wanted({{{}, 0}}));
  EXPECT_FALSE(check_wanted({{{}, line_quantity_max + 1}}));
  EXPECT_FALSE(check_wanted({}));
  EXPECT_TRUE(check_wanted(std::vector<WantedLine>(reservation_lines_max, {{}, 1})));
  EXPECT_FALSE(check_wanted(std::vector<WantedLine>(reservation_lines_max + 1, {{}, 1})));
}

struct Adjustment {
  std::int64_t on_hand, reserved, delta;
  std::string_view code;  ///< empty: accepted
};

class Adjusts : public testing::TestWithParam<Adjustment> {};

TEST_P(Adjusts, WithinWhatIsReservedAndTheLimit) {
  const auto [on_hand, reserved, delta, code] = GetParam();
  const auto level = adjusted({.variant = {}, .on_hand = on_hand, .reserved = reserved}, delta);

  if (code.empty()) {
    ASSERT_TRUE(level);
    EXPECT_EQ(level->on_hand, on_hand + delta);
  } else {
    ASSERT_FALSE(level);
    EXPECT_EQ(level.error().code, code);
  }
}

INSTANTIATE_TEST_SUITE_P(Edges, Adjusts,
                         testing::Values(Adjustment{5, 3, -2, ""},
                                         Adjustment{5, 3, -3, "stock_below_reserved"},
                                         Adjustment{5, 0, -5, ""}, Adjustment{5, 0, 7, ""},
                                         Adjustment{5, 0, 0, "invalid_adjustment"},
                                         Adjustment{0, 0, on_hand_max, ""},
                                         Adjustment{1, 0, on_hand_max, "invalid_adjustment"}));

}  // namespace
}  // namespace stoa::product
