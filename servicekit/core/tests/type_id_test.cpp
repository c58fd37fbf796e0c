#include "servicekit/core/type_id.hpp"

#include <array>

#include <gtest/gtest.h>

namespace stoa {
namespace {

// Test vectors of the TypeID specification, valid.yml and invalid.yml.
TEST(TypeId, AgreesWithTheSpecificationsVectors) {
  EXPECT_EQ(type_id_suffix(*Uuid::parse("00000000-0000-0000-0000-000000000000")),
            "00000000000000000000000000");
  EXPECT_EQ(type_id_suffix(*Uuid::parse("00000000-0000-0000-0000-000000000001")),
            "00000000000000000000000001");
  EXPECT_EQ(type_id_suffix(*Uuid::parse("ffffffff-ffff-ffff-ffff-ffffffffffff")),
            "7zzzzzzzzzzzzzzzzzzzzzzzzz");
  EXPECT_EQ(type_id_suffix(*Uuid::parse("0110c853-1d09-52d8-d73e-1194e95b5f19")),
            "0123456789abcdefghjkmnpqrs");
  EXPECT_EQ(parse_type_id_suffix("0123456789abcdefghjkmnpqrs")->str(),
            "0110c853-1d09-52d8-d73e-1194e95b5f19");
}

TEST(TypeId, RefusesWhatIsNotOne) {
  EXPECT_FALSE(OrderId::parse("usr_0123456789abcdefghjkmnpqrs"));
  EXPECT_FALSE(OrderId::parse("ord_8zzzzzzzzzzzzzzzzzzzzzzzzz"));
  EXPECT_FALSE(OrderId::parse("ord_0123456789abcdefghjkmnpqr"));
  EXPECT_FALSE(OrderId::parse("ord_0123456789ABCDEFGHJKMNPQRS"));
  EXPECT_FALSE(OrderId::parse("ord_0123456789abcdefghjkmnpqri"));
  EXPECT_FALSE(OrderId::parse("ord0123456789abcdefghjkmnpqrs"));
  EXPECT_FALSE(OrderId::parse(""));
}

TEST(TypeId, ReadsWhatItWrites) {
  const OrderId id{*Uuid::parse("01890a5d-ac96-774b-bcce-b302099a8057")};
  EXPECT_EQ(id.str(), "ord_01h455vb4pex5vsknk084sn02q");
  EXPECT_EQ(OrderId::parse(id.str()), id);
}

TEST(Uuid, RefusesOtherForms) {
  EXPECT_FALSE(Uuid::parse("01890a5dac96774bbcceb302099a8057"));
  EXPECT_FALSE(Uuid::parse("01890a5d-ac96-774b-bcce-b302099a805g"));
  EXPECT_FALSE(Uuid::parse("01890a5d-ac96-774b-bcce_b302099a8057"));
}

TEST(Uuid, OrdersVersion7ByTimeAndMarksIt) {
  const std::array<std::uint8_t, 10> random{0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                            0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  const std::array<std::uint8_t, 10> zero{};
  const Uuid earlier = uuid_v7(
      std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{1}}, random);
  const Uuid later =
      uuid_v7(std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{2}}, zero);
  EXPECT_LT(earlier, later);
  EXPECT_EQ(earlier.str()[14], '7');
  EXPECT_EQ(earlier.str()[19], 'b');
  EXPECT_EQ(later.str()[19], '8');
}

}  // namespace
}  // namespace stoa
