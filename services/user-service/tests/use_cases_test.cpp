#include <string>

#include <gtest/gtest.h>

#include "servicekit/crypto/crypto.hpp"
#include "servicekit/testing/run.hpp"

#include "services/user-service/app/accounts.hpp"
#include "services/user-service/app/sessions.hpp"
#include "services/user-service/tests/fake_user_store.hpp"

namespace stoa::user {
namespace {

using namespace std::chrono_literals;
using testing_support::run;

/// Readable instead of secret.
class FakeCredentials final : public Credentials {
 public:
  Task<PasswordHash> hash(Context, Secret<> password) override {
    ++hashes;
    co_return PasswordHash{"hash of " + password.reveal()};
  }
  Task<bool> matches(Context, std::optional<PasswordHash> hash, Secret<> password) override {
    ++hashes;
    co_return hash && hash->value == "hash of " + password.reveal();
  }
  Secret<> new_refresh_token() override { return Secret<>{std::format("rt{}", ++tokens)}; }
  Secret<> successor_of(const Secret<>& token) override { return Secret<>{token.reveal() + "+"}; }
  TokenHash hash_of(const Secret<>& token) override { return {"#" + token.reveal()}; }
  Task<std::string> access_token(Context, Grant grant) override {
    co_return std::string{name(grant.role)} + " " + grant.session.str();
  }

  int hashes = 0;
  int tokens = 0;
};

class UseCases : public testing::Test {
 protected:
  SignedIn sign_up(std::string email = "Ada@Example.com") {
    Registration wanted{.email = std::move(email), .password = "long enough", .name = " Ada "};
    return *run(accounts.register_user(Context{}, std::move(wanted)));
  }
  Result<SignedIn> log_in(std::string email, std::string password) {
    Login login{.email = std::move(email), .password = Secret<>{std::move(password)}};
    return run(sessions.login(Context{}, std::move(login)));
  }
  Result<SignedIn> refresh(const Secret<>& token) {
    return run(sessions.refresh(Context{}, token));
  }

  FakeUserStore store;
  FakeCredentials credentials;
  std::vector<SessionId> reused;
  Accounts accounts{store,
                    credentials,
                    {.next_user = [] { return UserId{crypto::new_uuid()}; },
                     .next_session = [] { return SessionId{crypto::new_uuid()}; },
                     .now = [this] { return store.now; }}};
  Sessions sessions{
      store,
      credentials,
      {.next_id = [] { return SessionId{crypto::new_uuid()}; },
       .on_reuse = [this](const Context&,
                          const ReuseSeen& seen) { reused.push_back(seen.session); }}};
};

TEST_F(UseCases, RegisteringSignsInUnderOneSpelling) {
  const SignedIn ada = sign_up();
  EXPECT_EQ(ada.user.email, "ada@example.com");
  EXPECT_EQ(ada.user.name, "Ada");
  EXPECT_TRUE(ada.access_token.starts_with("customer ses_"));
  EXPECT_TRUE(refresh(ada.refresh_token));
  EXPECT_TRUE(log_in("ADA@example.com ", "long enough"));
}

TEST_F(UseCases, RegisteringATakenAddressIsRefused) {
  sign_up();
  const auto twin = run(accounts.register_user(
      Context{}, {.email = "ada@example.com", .password = "long enough", .name = "Eve"}));
  ASSERT_FALSE(twin);
  EXPECT_EQ(twin.error().code, "email_taken");
  EXPECT_EQ(twin.error().kind, ErrorKind::conflict);
}

TEST_F(UseCases, LoginTellsNoUnknownAddressFromAWrongPassword) {
  sign_up();
  const int before = credentials.hashes;
  const auto wrong = log_in("ada@example.com", "not the password");
  const auto unknown = log_in("nobody@example.com", "not the password");
  const auto no_address = log_in("nobody", "not the password");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "invalid_credentials");
  for (const auto* other : {&unknown, &no_address}) {
    ASSERT_FALSE(*other);
    EXPECT_EQ(other->error().code, wrong.error().code);
    EXPECT_EQ(other->error().detail, wrong.error().detail);
  }
  EXPECT_EQ(credentials.hashes, before + 3) << "the same work for each";
}

TEST_F(UseCases, TheTenthFailureLocksAccountsThatExistAndThoseThatDoNot) {
  sign_up();
  for (const std::string email : {"ada@example.com", "nobody@example.com"}) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(log_in(email, "wrong password").error().code, "invalid_credentials") << i;
    }
    const auto locked = log_in(email, "long enough");
    ASSERT_FALSE(locked);
    EXPECT_EQ(locked.error().code, "account_locked");
    EXPECT_EQ(locked.error().retry_after, 60s);
  }
  const int before = credentials.hashes;
  EXPECT_FALSE(log_in("ada@example.com", "long enough"));
  EXPECT_EQ(credentials.hashes, before) << "a locked account costs no hash";
  store.now += 60s;
  EXPECT_TRUE(log_in("ada@example.com", "long enough"));
  EXPECT_EQ(log_in("ada@example.com", "wrong password").error().code, "invalid_credentials");
}

TEST_F(UseCases, WhatIsNoAddressLocksNobody) {
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(log_in(std::format("nobody {}", i), "wrong password").error().code,
              "invalid_credentials");
  }
}

TEST_F(UseCases, RefreshRotates) {
  const SignedIn ada = sign_up();
  const auto second = refresh(ada.refresh_token);
  ASSERT_TRUE(second);
  EXPECT_NE(second->refresh_token.reveal(), ada.refresh_token.reveal());
  EXPECT_EQ(second->access_token, ada.access_token) << "the same session";
  EXPECT_TRUE(refresh(second->refresh_token));
}

TEST_F(UseCases, ATwinOfARefreshGetsTheSameToken) {
  const SignedIn ada = sign_up();
  const auto first = refresh(ada.refresh_token);
  store.now += 5s;
  const auto twin = refresh(ada.refresh_token);
  ASSERT_TRUE(twin);
  EXPECT_EQ(twin->refresh_token.reveal(), first->refresh_token.reveal());
  EXPECT_TRUE(reused.empty());
}

TEST_F(UseCases, AReuseEndsTheSessionAndIsReported) {
  const SignedIn ada = sign_up();
  const auto second = refresh(ada.refresh_token);
  const auto third = refresh(second->refresh_token);
  EXPECT_EQ(refresh(ada.refresh_token).error().code, "refresh_token_invalid");
  EXPECT_EQ(refresh(third->refresh_token).error().code, "refresh_token_invalid");
  ASSERT_EQ(reused.size(), 1U);
  EXPECT_EQ(store.sessions.at(reused[0]).reason, EndReason::token_reused);
}

TEST_F(UseCases, AnOldTokenAfterTheGraceIsAReuse) {
  const SignedIn ada = sign_up();
  const auto second = refresh(ada.refresh_token);
  store.now += 11s;
  EXPECT_FALSE(refresh(ada.refresh_token));
  EXPECT_FALSE(refresh(second->refresh_token));
  EXPECT_EQ(reused.size(), 1U);
}

TEST_F(UseCases, AnInventedTokenEndsNothing) {
  const SignedIn ada = sign_up();
  EXPECT_EQ(refresh(Secret<>{std::string{"invented"}}).error().code, "refresh_token_invalid");
  EXPECT_TRUE(refresh(ada.refresh_token));
  EXPECT_TRUE(reused.empty());
}

TEST_F(UseCases, LogoutEndsOneSessionAndLogoutAllTheOthers) {
  const SignedIn first = sign_up();
  const SignedIn second = *log_in("ada@example.com", "long enough");
  const SignedIn third = *log_in("ada@example.com", "long enough");
  run(sessions.logout(Context{}, first.refresh_token));
  run(sessions.logout(Context{}, Secret<>{std::string{"unknown"}}));
  EXPECT_FALSE(refresh(first.refresh_token));
  EXPECT_TRUE(refresh(second.refresh_token));
  run(sessions.logout_all(Context{}, first.user.id));
  EXPECT_FALSE(refresh(third.refresh_token));
}

TEST_F(UseCases, ANewPasswordNeedsTheOldOneAndEndsTheOtherSessions) {
  const SignedIn here = sign_up();
  const SignedIn elsewhere = *log_in("ada@example.com", "long enough");
  const SessionId session = store.tokens.at({"#" + here.refresh_token.reveal()}).session;
  const auto change = [&](std::string current) {
    return run(accounts.change(Context{}, {.user = here.user.id,
                                           .session = session,
                                           .wanted = {.email = {},
                                                      .name = {},
                                                      .password = "another password",
                                                      .current_password = std::move(current)},
                                           .version = {}}));
  };
  const auto refused = change("wrong");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "wrong_password");
  EXPECT_TRUE(log_in("ada@example.com", "long enough"));

  ASSERT_TRUE(change("long enough"));
  EXPECT_FALSE(log_in("ada@example.com", "long enough"));
  EXPECT_TRUE(log_in("ada@example.com", "another password"));
  EXPECT_TRUE(refresh(here.refresh_token));
  EXPECT_FALSE(refresh(elsewhere.refresh_token));
}

TEST_F(UseCases, ErasureLeavesNothingToSignInTo) {
  const SignedIn ada = sign_up();
  EXPECT_TRUE(run(accounts.erase(Context{}, ada.user.id)));
  EXPECT_EQ(run(accounts.find(Context{}, ada.user.id)).error().code, "user_not_found");
  EXPECT_EQ(log_in("ada@example.com", "long enough").error().code, "invalid_credentials");
  EXPECT_FALSE(refresh(ada.refresh_token));
  EXPECT_EQ(run(accounts.erase(Context{}, ada.user.id)).error().code, "user_not_found");
  EXPECT_EQ(store.facts.size(), 2U);
}

TEST_F(UseCases, ARoleComesWithTheNextToken) {
  const SignedIn ada = sign_up();
  run(store.set_role(Context{}, ada.user.email, Role::staff));
  EXPECT_TRUE(refresh(ada.refresh_token)->access_token.starts_with("staff "));
}

}  // namespace
}  // namespace stoa::user
