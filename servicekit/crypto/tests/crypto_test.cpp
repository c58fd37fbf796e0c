#include "servicekit/crypto/crypto.hpp"

#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/encoding.hpp"

namespace stoa::crypto {
namespace {

TEST(Sha256, IsTheSameInPieces) {
  Sha256 pieces;
  pieces.add("one ");
  pieces.add("");
  pieces.add("two");

  EXPECT_EQ(pieces.digest(), sha256("one two"));
}

TEST(Sha256, AgreesWithFips180) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(HmacSha256, AgreesWithRfc4231) {
  EXPECT_EQ(hex(hmac_sha256(Secret<>{"Jefe"}, "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(EqualConstantTime, ComparesLengthAndBytes) {
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

TEST(NameBasedUuid, KnowsWhereOnePartEnds) {
  EXPECT_EQ(name_based_uuid({"a", "b"}), name_based_uuid({"a", "b"}));
  EXPECT_NE(name_based_uuid({"ab", "c"}), name_based_uuid({"a", "bc"}));
  EXPECT_NE(name_based_uuid({"a"}), name_based_uuid({"a", ""}));
  EXPECT_EQ(name_based_uuid({"a"}).str()[14], '8');
  // Stored ids follow from it, and tools/audit reckons it, too.
  EXPECT_EQ(name_based_uuid({"provider-key", "ch_1"}).str(),
            "0d7547fd-74bf-8831-ab9c-14df9e5aa4f6");
}

TEST(NewUuid, IsVersionSevenOfNowAndNeverTheSame) {
  const Uuid first = new_uuid();
  EXPECT_EQ(first.str()[14], '7');
  std::uint64_t milliseconds = 0;
  for (int i = 0; i < 6; ++i) {
    milliseconds = milliseconds << 8U | first.bytes[static_cast<std::size_t>(i)];
  }
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  EXPECT_LE(static_cast<std::int64_t>(milliseconds), now);
  EXPECT_GT(static_cast<std::int64_t>(milliseconds), now - 60'000);

  std::vector<Uuid> ids(20'000);
  std::thread other{[&] {
    for (std::size_t i = 0; i < 10'000; ++i) ids[i] = new_uuid();
  }};
  for (std::size_t i = 10'000; i < 20'000; ++i) ids[i] = new_uuid();
  other.join();
  EXPECT_EQ(std::set<Uuid>(ids.begin(), ids.end()).size(), ids.size());
}

TEST(RandomBytes, GivesAsManyAsAsked) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(1'000).size(), 1'000U);
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

TEST(Password, IsVerifiedAgainstItsOwnHashOnly) {
  const Secret<> password{"correct horse battery staple"};
  const std::string phc = hash_password(password);
  EXPECT_TRUE(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << phc;
  EXPECT_NE(phc, hash_password(password));
  EXPECT_TRUE(verify_password(phc, password));
  EXPECT_FALSE(verify_password(phc, Secret<>{"correct horse battery stapl"}));
}

TEST(Password, MayBeLongerThanWhatBcryptReads) {
  const std::string long_text(100, 'x');
  const std::string phc = hash_password(Secret<>{long_text + "a"});
  EXPECT_TRUE(verify_password(phc, Secret<>{long_text + "a"}));
  EXPECT_FALSE(verify_password(phc, Secret<>{long_text + "b"}));
}

TEST(Password, RefusesAMalformedHash) {
  const Secret<> password{"x"};
  for (const std::string phc : {"", "plain", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$10$abc"}) {
    EXPECT_FALSE(verify_password(phc, password)) << phc;
  }
  EXPECT_FALSE(verify_password(std::string(1'000, '$'), password));
}

TEST(Seal, OpensWithItsKeyAndContextOnly) {
  const Secret<> key{std::string(32, 'k')};
  const std::string sealed = seal(key, "private", "key 1");
  EXPECT_NE(sealed, seal(key, "private", "key 1"));
  EXPECT_EQ(open_sealed(key, sealed, "key 1"), "private");
  EXPECT_FALSE(open_sealed(key, sealed, "key 2"));
  EXPECT_FALSE(open_sealed(Secret<>{std::string(32, 'l')}, sealed, "key 1"));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(open_sealed(key, changed, "key 1")) << at;
  }
  EXPECT_FALSE(open_sealed(key, sealed.substr(0, 27), "key 1"));
  EXPECT_EQ(open_sealed(key, seal(key, "", ""), ""), "");
}

}  // namespace
}  // namespace stoa::crypto
