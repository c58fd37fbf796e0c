#include "services/order-service/adapters/order_json.hpp"

#include <gtest/gtest.h>

#include "services/order-service/adapters/cursor.hpp"
#include "services/order-service/tests/fakes.hpp"

namespace stoa::order {
namespace {

std::string body(std::string lines, std::string more = "") {
  return R"({"lines":)" + lines + R"(,"currency":"EUR","shipping_address":{"name":"Ada",)" +
         R"("line1":"Main Street 1","city":"Berlin","postal_code":"10115","country":"DE"},)" +
         R"("payment_method":{"token":"tok_ok"})" + more + "}";
}

std::string line(std::string more = "") {
  return R"([{"variant_id":")" + variant_id(7).str() + R"(","quantity":2)" + more + "}]";
}

struct Mistake {
  const char* name;
  std::string body;
  std::string_view pointer;
  std::string_view code;
};

class BodyWithAMistake : public testing::TestWithParam<Mistake> {};

TEST_P(BodyWithAMistake, IsToldWhere) {
  const auto command = parse_place_order(GetParam().body);
  ASSERT_FALSE(command);
  EXPECT_EQ(command.error().code, "invalid_body");
  ASSERT_EQ(command.error().fields.size(), 1U);
  EXPECT_EQ(command.error().fields[0].pointer, GetParam().pointer);
  EXPECT_EQ(command.error().fields[0].code, GetParam().code);
}

std::string with(std::string_view from, std::string_view to) {
  std::string text = body(line());
  return text.replace(text.find(from), from.size(), to);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BodyWithAMistake,
    testing::Values(
        Mistake{"PriceOfTheClient", body(line(R"(,"unit_price":{"amount":1,"currency":"EUR"})")),
                "/lines/0/unit_price", "unknown_member"},
        Mistake{"UnknownMember", body(line(), R"(,"coupon":"X")"), "/coupon", "unknown_member"},
        Mistake{"NegativeQuantity", with(R"("quantity":2)", R"("quantity":-2)"),
                "/lines/0/quantity", "out_of_range"},
        Mistake{"TextQuantity", with(R"("quantity":2)", R"("quantity":"2")"), "/lines/0/quantity",
                "wrong_type"},
        Mistake{"NoSuchCurrency", with(R"("EUR")", R"("XXX")"), "/currency", "unknown_currency"},
        Mistake{"NoSuchCountry", with(R"("DE")", R"("XX")"), "/shipping_address/country",
                "unknown_country"},
        Mistake{"NoCity", with(R"("city":"Berlin",)", ""), "/shipping_address/city", "required"},
        Mistake{"OtherShipping", body(line(), R"(,"shipping_method":"drone")"), "/shipping_method",
                "unknown_shipping_method"},
        Mistake{"CardNumber", with("tok_ok", "4111111111111111"), "/payment_method/token",
                "bad_token"},
        Mistake{"NotAVariant", with("var_", "prd_"), "/lines/0/variant_id", "bad_id"}),
    [](const auto& mistake) { return mistake.param.name; });

TEST(PlaceOrderBody, BecomesACommand) {
  const auto command = parse_place_order(body(line(), R"(,"shipping_method":"standard")"));
  ASSERT_TRUE(command);
  ASSERT_EQ(command->wanted.size(), 1U);
  EXPECT_EQ(command->wanted[0].variant, variant_id(7));
  EXPECT_EQ(command->wanted[0].quantity, 2U);
  EXPECT_EQ(command->currency, currencies::eur);
  EXPECT_EQ(command->shipping_method, "standard");
  EXPECT_EQ(command->payment_token, "tok_ok");
  EXPECT_EQ(command->shipping_address.line2, std::nullopt);
}

TEST(PlaceOrderBody, ThatIsNoJsonIsMalformed) {
  EXPECT_EQ(parse_place_order("{").error().kind, ErrorKind::malformed);
}

TEST(StoredFacts, AreReadAsTheyWereWritten) {
  const auto order = order::place({.id = order_id(1),
                                   .number = {100'042},
                                   .customer = user_id(1),
                                   .reservation = {},
                                   .lines = {{.variant = variant_id(7),
                                              .sku = "A\"B",
                                              .name = "Tea ☕",
                                              .quantity = 3,
                                              .unit_price = Money{7, currencies::kwd}}},
                                   .currency = currencies::kwd,
                                   .shipping_address = some_address(),
                                   .shipping_method = "standard",
                                   .now = noon});
  const auto lines = parse_facts_lines(facts_json(*order));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].sku, "A\"B");
  EXPECT_EQ(lines[0].name, "Tea ☕");
  EXPECT_EQ(lines[0].total, (Money{21, currencies::kwd}));
  EXPECT_EQ(parse_stored_address(address_json(some_address())), some_address());
}

TEST(Cursor, IsReadByEveryReplicaForItsOwnListOnly) {
  const Cursors here{Secret<>{"key"}};
  const Cursors there{Secret<>{"key"}};
  const Cursors stranger{Secret<>{"other key"}};
  const auto cursor = here.after(order_id(7), "usr_1?sort=-created_at");
  EXPECT_EQ(there.read(cursor, "usr_1?sort=-created_at"), order_id(7));
  EXPECT_EQ(there.read(cursor, "usr_2?sort=-created_at").error().code, "bad_cursor");
  EXPECT_EQ(stranger.read(cursor, "usr_1?sort=-created_at").error().code, "bad_cursor");
  std::string forged = cursor;
  forged[0] = forged[0] == 'A' ? 'B' : 'A';
  EXPECT_EQ(there.read(forged, "usr_1?sort=-created_at").error().code, "bad_cursor");
  EXPECT_EQ(there.read("", "usr_1?sort=-created_at").error().code, "bad_cursor");
}

}  // namespace
}  // namespace stoa::order
