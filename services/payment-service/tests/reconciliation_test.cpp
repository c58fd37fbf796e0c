#include "services/payment-service/domain/reconciliation.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/type_id.hpp"

namespace stoa::payment {
namespace {

Uuid uuid(std::uint8_t last) {
  Uuid id;
  id.bytes[15] = last;
  return id;
}

Uuid named(std::string_view text) {
  Uuid id;
  id.bytes[0] = 0xFF;
  id.bytes[15] = static_cast<std::uint8_t>(text.size());
  return id;
}

StatementLine line(std::int64_t number, const std::string& key, std::int64_t minor) {
  return {.number = number,
          .kind = minor < 0 ? "refund" : "capture",
          .provider_payment = "psp_1",
          .key = key,
          .amount = Money{minor, currencies::eur}};
}

std::string attempt(std::uint8_t last) { return AttemptId{uuid(last)}.str(); }

CashEntry entry(std::uint8_t last, std::int64_t minor) {
  return {.transaction = uuid(last), .amount = Money{minor, currencies::eur}};
}

std::vector<Difference> differences(const std::vector<StatementLine>& lines,
                                    const std::vector<CashEntry>& entries) {
  return compare(lines, entries, &named);
}

TEST(Compare, FindsNothingWhereBothSayTheSame) {
  const std::string refund = RefundId{uuid(2)}.str();
  EXPECT_TRUE(differences({line(1, attempt(1), 500), line(2, refund, -500)},
                          {entry(1, 500), entry(2, -500)})
                  .empty());
}

TEST(Compare, FindsACaptureThatWeDidNotBook) {
  const auto found = differences({line(1, attempt(1), 500)}, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Difference::Kind::not_in_ledger);
  EXPECT_EQ(found[0].transaction, uuid(1));
}

TEST(Compare, FindsABookingThatTheProviderDoesNotKnow) {
  const auto found = differences({}, {entry(1, 500)});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Difference::Kind::not_in_statement);
  EXPECT_EQ(found[0].booked_minor, 500);
}

TEST(Compare, FindsAnotherAmountByOneCent) {
  const auto found = differences({line(1, attempt(1), 500)}, {entry(1, 499)});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Difference::Kind::other_amount);
}

TEST(Compare, FindsAKeyThatMovedMoneyTwice) {
  const auto found =
      differences({line(1, attempt(1), 500), line(2, attempt(1), 500)}, {entry(1, 500)});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, Difference::Kind::repeated);
}

TEST(Compare, LeavesVoidsOut) { EXPECT_TRUE(differences({line(1, attempt(1), 0)}, {}).empty()); }

TEST(Compare, NamesForeignKeysTheSameEachTime) {
  const auto found = differences({line(1, "somebody else's", 500)}, {});
  EXPECT_EQ(found.at(0).transaction, named("somebody else's"));
}

TEST(Describe, SaysWhereToLook) {
  const auto found = differences({line(7, attempt(1), 500)}, {});
  EXPECT_EQ(describe(found.at(0)),
            "line 7 (capture 5.00 EUR of psp_1, key " + attempt(1) + "): not in our ledger");
}

}  // namespace
}  // namespace stoa::payment
