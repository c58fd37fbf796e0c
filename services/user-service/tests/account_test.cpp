#include "services/user-service/domain/account.hpp"

#include <string>

#include <gtest/gtest.h>

namespace stoa::user {
namespace {

TEST(NormalisedEmail, IsOneSpellingForOneAddress) {
  EXPECT_EQ(normalised_email("ada@example.com"), "ada@example.com");
  EXPECT_EQ(normalised_email("  Ada.Lovelace+shop@EXAMPLE.Com\t"), "ada.lovelace+shop@example.com");
  EXPECT_EQ(normalised_email("o'brien@mail-1.example.co.uk"), "o'brien@mail-1.example.co.uk");
  EXPECT_EQ(normalised_email("a@xn--bcher-kva.example"), "a@xn--bcher-kva.example");
}

TEST(NormalisedEmail, RefusesWhatNoMailServerTakes) {
  for (const char* text : {"",
                           "@",
                           "ada",
                           "ada@",
                           "@example.com",
                           "ada@example",
                           "ada@@example.com",
                           "a@b@example.com",
                           ".ada@example.com",
                           "ada.@example.com",
                           "a..da@example.com",
                           "ada@-example.com",
                           "ada@example-.com",
                           "ada@example..com",
                           "ada@.example.com",
                           "ada@example.com.",
                           "ada@example.c",
                           "ada@127.0.0.1",
                           "ada@[127.0.0.1]",
                           "a da@example.com",
                           "\"a\"@example.com",
                           "ada@exam ple.com",
                           "ada@example.com\r\nBcc: x@example.com",
                           "ad\xC3\xA4@example.com",
                           "ada@ex\xC3\xA4mple.com",
                           "ada,b@example.com",
                           "<ada@example.com>"}) {
    EXPECT_FALSE(normalised_email(text)) << text;
  }
}

TEST(NormalisedEmail, KnowsTheLengthsOfRfc5321) {
  const std::string local(64, 'a');
  EXPECT_TRUE(normalised_email(local + "@example.com"));
  EXPECT_FALSE(normalised_email(local + "a@example.com"));
  const std::string label(63, 'b');
  const std::string domain = label + "." + label + "." + label.substr(0, 57) + ".com";
  ASSERT_EQ((local + "@" + domain).size(), 254U);
  EXPECT_TRUE(normalised_email(local + "@" + domain));
  EXPECT_FALSE(normalised_email(local + "@b" + domain));
  EXPECT_FALSE(normalised_email("a@" + label + "b.com"));
}

TEST(NormalisedName, HasOneToAHundredCharactersAndNoControls) {
  EXPECT_EQ(normalised_name("  Ada Lovelace \n"), "Ada Lovelace");
  EXPECT_EQ(normalised_name("\xE5\xBC\xA0"), "\xE5\xBC\xA0");
  std::string long_name;
  for (int i = 0; i < 100; ++i) long_name += "\xC3\xA9";
  EXPECT_EQ(normalised_name(long_name), long_name) << "a hundred characters of two bytes";
  EXPECT_FALSE(normalised_name(long_name + "x"));
  EXPECT_FALSE(normalised_name(""));
  EXPECT_FALSE(normalised_name(" \t "));
  EXPECT_FALSE(normalised_name("Ada\r\nBcc: everybody@example.com"));
  EXPECT_FALSE(normalised_name("Ada\x7F"));
  EXPECT_FALSE(normalised_name("Ada\xC2\x85"));
  EXPECT_TRUE(normalised_name("Ada\xC2\xA0L"));
}

TEST(Password, IsCountedInCharacters) {
  EXPECT_FALSE(acceptable_password(std::string(9, 'x')));
  EXPECT_TRUE(acceptable_password(std::string(10, 'x')));
  EXPECT_TRUE(acceptable_password(std::string(128, 'x')));
  EXPECT_FALSE(acceptable_password(std::string(129, 'x')));
  std::string tea;
  for (int i = 0; i < 10; ++i) tea += "\xF0\x9F\x8D\xB5";
  EXPECT_TRUE(acceptable_password(tea));
}

TEST(CheckRegistration, TellsEveryWrongMember) {
  const auto refused = check_registration({.email = "no", .password = "short", .name = ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "invalid_body");
  ASSERT_EQ(refused.error().fields.size(), 3U);
  EXPECT_EQ(refused.error().fields[0].code, "invalid_email");
  EXPECT_EQ(refused.error().fields[1].pointer, "/password");
  EXPECT_EQ(refused.error().fields[2].code, "invalid_name");
}

TEST(CheckChange, WantsTheCurrentPasswordForHowTheAccountIsEntered) {
  EXPECT_TRUE(check_change({.email = {}, .name = "Ada", .password = {}, .current_password = {}}));
  const auto by_email =
      check_change({.email = "a@example.com", .name = {}, .password = {}, .current_password = {}});
  ASSERT_FALSE(by_email);
  EXPECT_EQ(by_email.error().fields.at(0).pointer, "/current_password");
  EXPECT_FALSE(
      check_change({.email = {}, .name = {}, .password = "long enough", .current_password = {}}));
  EXPECT_TRUE(check_change(
      {.email = "A@example.com", .name = {}, .password = "long enough", .current_password = "x"}));
}

TEST(Scopes, AreThoseOfTheRole) {
  EXPECT_TRUE(scopes_of(Role::customer).empty());
  EXPECT_EQ(scopes_of(Role::staff),
            (std::vector<std::string>{"catalog:write", "orders:read_all", "orders:write",
                                      "payments:read", "payments:refund"}));
  EXPECT_EQ(scopes_of(Role::admin).size(), 7U);
}

TEST(Role, ReadsBackItsName) {
  for (const Role role : {Role::customer, Role::staff, Role::admin}) {
    EXPECT_EQ(parse_role(name(role)), role);
  }
  EXPECT_FALSE(parse_role("root"));
  EXPECT_FALSE(parse_role(""));
}

}  // namespace
}  // namespace stoa::user
