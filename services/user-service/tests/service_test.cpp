#include <format>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "servicekit/core/encoding.hpp"

#include "services/user-service/tests/running_service.hpp"

// The program itself on a real PostgreSQL, through its port.
namespace stoa::user {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view password = "correct horse battery";

class UserService : public testing::Test {
 protected:
  static std::string credentials(const std::string& email, std::string_view secret = password) {
    return std::format(R"({{"email":"{}","password":"{}"}})", email, secret);
  }
  static Answer post(const RunningService& on, const std::string& path, std::string body,
                     std::string authorization = "") {
    return send(on, {.method = "POST",
                     .path = "/api/v1/auth/" + path,
                     .body = std::move(body),
                     .authorization = std::move(authorization)});
  }
  Answer sign_up(const std::string& email = "ada@example.com") {
    return post(service, "register",
                std::format(R"({{"email":"{}","password":"{}","name":"Ada"}})", email, password));
  }
  Answer log_in(const std::string& email, std::string_view secret = password) {
    return post(service, "login", credentials(email, secret));
  }
  static Answer refresh(const RunningService& on, const std::string& token) {
    return post(on, "refresh", std::format(R"({{"refresh_token":"{}"}})", token));
  }
  static Answer me(const RunningService& on, const std::string& token) {
    return send(on, {.path = "/api/v1/users/me", .authorization = bearer(token)});
  }
  Answer patch(const std::string& token, std::string body, std::string headers = "") {
    return send(service, {.method = "PATCH",
                          .path = "/api/v1/users/me",
                          .body = std::move(body),
                          .authorization = bearer(token),
                          .headers = std::move(headers),
                          .content_type = "application/merge-patch+json"});
  }
  static void eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << "waited in vain";
      std::this_thread::sleep_for(10ms);
    }
  }

  Installation installation;
  RunningService service{installation};
};

std::string header_of_token(const std::string& token) {
  return parse_base64url(token.substr(0, token.find('.'))).value_or("");
}
std::string payload_of_token(const std::string& token) {
  const auto from = token.find('.') + 1;
  return parse_base64url(token.substr(from, token.rfind('.') - from)).value_or("");
}

TEST_F(UserService, RegistersAndSignsIn) {
  const Answer made = sign_up("Ada@Example.com");
  ASSERT_EQ(made.status, 201) << made.raw;
  EXPECT_EQ(made.text("email"), "ada@example.com");
  EXPECT_TRUE(made.text("id").starts_with("usr_"));
  EXPECT_EQ(made.text("token_type"), "Bearer");
  EXPECT_NE(made.body().find("\"expires_in\":900"), std::string_view::npos);
  EXPECT_EQ(made.header("cache-control"), "private, no-store");

  const Answer shown = me(service, made.text("access_token"));
  ASSERT_EQ(shown.status, 200) << shown.raw;
  EXPECT_EQ(shown.text("id"), made.text("id"));
  EXPECT_EQ(shown.text("name"), "Ada");
  EXPECT_EQ(shown.text("created_at").size(), 24U);
  const Answer again = log_in("ADA@example.com");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.text("created_at"), shown.text("created_at"));
  EXPECT_EQ(installation.sql("SELECT type || data::text FROM outbox"),
            std::format(R"(user.registered{{"user_id": "{}"}})", made.text("id")));
}

TEST_F(UserService, RefusesWhatItCannotAccept) {
  ASSERT_EQ(sign_up().status, 201);
  const Answer twin = sign_up("ADA@example.com");
  EXPECT_EQ(twin.status, 409);
  EXPECT_EQ(twin.text("code"), "email_taken");
  EXPECT_EQ(twin.header("content-type"), "application/problem+json");
  EXPECT_EQ(post(service, "register", "{").status, 400);
  EXPECT_EQ(post(service, "register", R"({"email":"a@example.com"})").status, 422);
  const Answer wrong =
      post(service, "register",
           R"({"email":"a@example.com","password":"short","name":"A","role":"admin"})");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_NE(wrong.body().find("unknown_member"), std::string_view::npos);
  EXPECT_EQ(me(service, "nonsense").status, 401);
  EXPECT_EQ(send(service, {.path = "/api/v1/users/me"}).status, 401);
}

TEST_F(UserService, AnswersUnknownAndWrongAlike) {
  sign_up();
  const auto stripped = [](const Answer& answer) {
    std::string body{answer.body()};
    const auto trace = body.find("\"trace_id\":\"");
    if (trace != std::string::npos) body.erase(trace, 12 + 32);
    return std::to_string(answer.status) + body;
  };
  const Answer wrong = log_in("ada@example.com", "not the password");
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(wrong.text("code"), "invalid_credentials");
  EXPECT_EQ(stripped(wrong), stripped(log_in("nobody@example.com", "not the password")));
  EXPECT_EQ(stripped(wrong), stripped(log_in("no address", "not the password")));
}

TEST_F(UserService, LocksAnAccountAfterTenFailures) {
  sign_up();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(log_in("ada@example.com", "wrong password").status, 401);
  const Answer locked = log_in("ada@example.com");
  EXPECT_EQ(locked.status, 429);
  EXPECT_EQ(locked.text("code"), "account_locked");
  EXPECT_GE(std::stoi("0" + locked.header("retry-after")), 55);
  EXPECT_EQ(log_in("bob@example.com").status, 401) << "others are not";
  installation.sql("UPDATE login_failures SET last_failed_at = now() - interval '61 seconds'");
  EXPECT_EQ(log_in("ada@example.com").status, 200);
}

TEST_F(UserService, ShowsAndChangesMe) {
  const Answer made = sign_up();
  const std::string token = made.text("access_token");
  const std::string etag = me(service, token).header("etag");
  EXPECT_EQ(etag, "\"1\"");
  const Answer unchanged = send(service, {.path = "/api/v1/users/me",
                                          .authorization = bearer(token),
                                          .headers = "if-none-match: " + etag + "\r\n"});
  EXPECT_EQ(unchanged.status, 304);
  EXPECT_EQ(unchanged.body(), "");

  const Answer changed = patch(token, R"({"name":" Countess "})", "if-match: " + etag + "\r\n");
  EXPECT_EQ(changed.status, 200) << changed.raw;
  EXPECT_EQ(changed.text("name"), "Countess");
  EXPECT_EQ(changed.header("etag"), "\"2\"");
  EXPECT_EQ(patch(token, R"({"name":"X"})", "if-match: " + etag + "\r\n").status, 412);
  EXPECT_EQ(patch(token, R"({"name":"X"})", "if-match: W/\"2\"\r\n").status, 412);
  EXPECT_EQ(patch(token, R"({"name":null})").status, 422);
  EXPECT_EQ(patch(token, R"({"id":"usr_x"})").status, 422);
  EXPECT_EQ(patch(token, R"({"email":"b@example.com"})").status, 422) << "no current password";
  EXPECT_EQ(
      patch(token, R"({"email":"b@example.com","current_password":"wrong one"})").text("code"),
      "wrong_password");
  EXPECT_EQ(
      patch(token, std::format(R"({{"email":"b@example.com","current_password":"{}"}})", password))
          .status,
      200);
  EXPECT_EQ(log_in("b@example.com").status, 200);
  EXPECT_EQ(log_in("ada@example.com").status, 401);
}

TEST_F(UserService, GivesAnAddressToOneOfManyWhoWantItAtOnce) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 6; ++i) {
    tokens.push_back(sign_up(std::format("u{}@example.com", i)).text("access_token"));
  }
  std::vector<int> statuses(tokens.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      threads.emplace_back([&, i] {
        statuses[i] =
            patch(tokens[i],
                  std::format(R"({{"email":"x@example.com","current_password":"{}"}})", password))
                .status;
      });
    }
  }
  EXPECT_EQ(std::ranges::count(statuses, 200), 1);
  EXPECT_EQ(std::ranges::count(statuses, 409), 5);
}

TEST_F(UserService, RotatesRefreshTokensAndNoticesAReuse) {
  const std::string first = sign_up().text("refresh_token");
  const Answer second = refresh(service, first);
  ASSERT_EQ(second.status, 200) << second.raw;
  const Answer third = refresh(service, second.text("refresh_token"));
  ASSERT_EQ(third.status, 200);
  const Answer reuse = refresh(service, first);
  EXPECT_EQ(reuse.status, 401);
  EXPECT_EQ(reuse.text("code"), "refresh_token_invalid");
  EXPECT_EQ(refresh(service, third.text("refresh_token")).status, 401);
  EXPECT_EQ(installation.sql("SELECT end_reason FROM sessions"), "token_reused");
  EXPECT_EQ(installation.sql("SELECT count(*) FROM refresh_tokens WHERE hash::text LIKE '%rt_%'"),
            "0");
}

TEST_F(UserService, GivesTwinsOfARefreshTheSameToken) {
  RunningService other{installation};
  const std::string token = sign_up().text("refresh_token");
  std::vector<std::string> given(16);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < given.size(); ++i) {
      threads.emplace_back([&, i] {
        given[i] = refresh(i % 2 == 0 ? service : other, token).text("refresh_token");
      });
    }
  }
  const std::set<std::string> distinct(given.begin(), given.end());
  ASSERT_EQ(distinct.size(), 1U);
  EXPECT_TRUE(distinct.begin()->starts_with("rt_"));
  EXPECT_EQ(refresh(service, *distinct.begin()).status, 200);
}

TEST_F(UserService, EndsSessionsOnEveryReplica) {
  RunningService other{installation};
  const Answer made = sign_up();
  const std::string token = made.text("access_token");
  eventually([&] { return me(other, token).status == 200; });
  EXPECT_EQ(post(service, "logout",
                 std::format(R"({{"refresh_token":"{}"}})", made.text("refresh_token")))
                .status,
            204);
  EXPECT_EQ(refresh(other, made.text("refresh_token")).status, 401);
  eventually([&] {
    return me(service, token).text("code") == "session_revoked" &&
           me(other, token).text("code") == "session_revoked";
  });
  const std::string again = log_in("ada@example.com").text("access_token");
  EXPECT_EQ(me(service, again).status, 200);
  EXPECT_EQ(post(other, "logout-all", "", bearer(again)).status, 204);
  eventually([&] { return me(service, again).status == 401; });
}

TEST_F(UserService, ErasesAPerson) {
  const Answer made = sign_up();
  const std::string id = made.text("id");
  const Call contact{.path = "/internal/v1/users/" + id + "/contact",
                     .authorization = installation.authorization_of("notification-service")};
  const Answer known = send(service, contact);
  EXPECT_EQ(known.status, 200) << known.raw;
  EXPECT_EQ(known.text("email"), "ada@example.com");
  const Answer erased = send(service, {.method = "DELETE",
                                       .path = "/api/v1/users/me",
                                       .authorization = bearer(made.text("access_token"))});
  EXPECT_EQ(erased.status, 204) << erased.raw;
  EXPECT_EQ(send(service, contact).text("code"), "user_not_found");
  EXPECT_EQ(log_in("ada@example.com").status, 401);
  EXPECT_EQ(refresh(service, made.text("refresh_token")).status, 401);
  EXPECT_EQ(installation.sql("SELECT count(*) FROM users WHERE email IS NOT NULL OR name IS NOT "
                             "NULL OR password_hash IS NOT NULL"),
            "0");
  EXPECT_EQ(installation.sql("SELECT subject FROM outbox WHERE type = 'user.deleted'"), id);
}

TEST_F(UserService, TellsOtherServicesAndNobodyElse) {
  const Answer made = sign_up();
  const std::string revocations = "/internal/v1/revocations";
  const std::string contact = "/internal/v1/users/" + made.text("id") + "/contact";
  const auto asked_by = [&](const std::string& path, std::string authorization) {
    return send(service, {.path = path, .authorization = std::move(authorization)}).status;
  };
  const std::string orders = installation.authorization_of("order-service");
  EXPECT_EQ(asked_by(revocations, orders), 200);
  EXPECT_EQ(asked_by(revocations, ""), 401);
  EXPECT_EQ(asked_by(revocations, bearer(made.text("access_token"))), 403);
  EXPECT_EQ(asked_by(contact, orders), 403);
  EXPECT_EQ(asked_by("/api/v1/users/me", orders), 403);
  EXPECT_EQ(asked_by(revocations + "?since=yesterday", orders), 400);
  EXPECT_EQ(asked_by(revocations + "?after=yesterday", orders), 400);

  post(service, "logout-all", "", bearer(made.text("access_token")));
  const Answer all = send(service, {.path = revocations, .authorization = orders});
  EXPECT_TRUE(all.text("sid").starts_with("ses_")) << all.raw;
  const Answer later = send(
      service, {.path = revocations + "?since=2999-01-01T00:00:00.000Z", .authorization = orders});
  EXPECT_EQ(later.text("sid"), "");
}

TEST_F(UserService, ReplicasAgreeOnTheFirstKey) {
  RunningService other{installation};
  const std::string here = sign_up().text("access_token");
  const std::string there =
      post(other, "login", credentials("ada@example.com")).text("access_token");
  EXPECT_EQ(header_of_token(here), header_of_token(there));
  eventually([&] { return me(other, here).status == 200 && me(service, there).status == 200; });
  EXPECT_EQ(installation.sql("SELECT count(*) FROM signing_keys"), "1");
  EXPECT_EQ(installation.sql("SELECT count(*) FROM signing_keys WHERE encode(private_sealed, "
                             "'escape') LIKE '%PRIVATE%'"),
            "0");
}

TEST_F(UserService, RotatesItsKeysWithoutRefusingAnybody) {
  const auto keys_told = [](const RunningService& on) {
    const Answer jwks = send(on, {.path = "/.well-known/jwks.json"});
    EXPECT_EQ(jwks.header("cache-control"), "public, max-age=300");
    EXPECT_EQ(jwks.body().find("\"d\""), std::string_view::npos) << "no private part";
    std::size_t count = 0;
    for (std::size_t at = 0; (at = jwks.body().find("\"kid\"", at)) != std::string_view::npos;
         ++at) {
      ++count;
    }
    return count;
  };
  const std::string old_token = sign_up().text("access_token");
  EXPECT_EQ(keys_told(service), 1U);
  ASSERT_EQ(installation.command({"keys", "rotate"}), 0);
  {
    RunningService announcing{installation};
    EXPECT_EQ(keys_told(announcing), 2U);
    const std::string token =
        post(announcing, "login", credentials("ada@example.com")).text("access_token");
    EXPECT_EQ(header_of_token(token), header_of_token(old_token)) << "told before it signs";
  }
  installation.sql("UPDATE signing_keys SET signs_from = now() WHERE generation = 2");
  {
    RunningService signing{installation};
    const std::string token =
        post(signing, "login", credentials("ada@example.com")).text("access_token");
    EXPECT_NE(header_of_token(token), header_of_token(old_token));
    eventually(
        [&] { return me(signing, token).status == 200 && me(signing, old_token).status == 200; });
  }
  installation.sql(
      "UPDATE signing_keys SET signs_from = now() - interval '21 minutes' "
      "WHERE generation = 2");
  RunningService later{installation};
  EXPECT_EQ(keys_told(later), 1U);
  eventually([&] { return me(later, old_token).text("code") == "token_invalid"; });
}

TEST_F(UserService, SaysSoWhenItsKeysWereSealedByAnother) {
  ASSERT_EQ(sign_up().status, 201);
  installation.master_key = "quite another master key of 32 characters";
  RunningService stranger{installation};
  EXPECT_EQ(post(stranger, "login", credentials("ada@example.com")).status, 503);
}

TEST_F(UserService, MakesTheDemoAccountsOnceAndGivesTheirRoles) {
  ASSERT_EQ(installation.command({"demo"}), 0);
  ASSERT_EQ(installation.command({"demo"}), 0);
  EXPECT_EQ(
      installation.sql("SELECT string_agg(email || '=' || role, ' ' ORDER BY email) FROM users"),
      "admin@demo.stoa.test=admin merchant@demo.stoa.test=staff "
      "shopper@demo.stoa.test=customer");
  const Answer merchant = log_in("merchant@demo.stoa.test", "stoa-demo-password");
  ASSERT_EQ(merchant.status, 200);
  const std::string payload = payload_of_token(merchant.text("access_token"));
  EXPECT_NE(payload.find(R"("roles":["staff"],"scope":"catalog:write orders:read_all)"),
            std::string::npos)
      << payload;
}

TEST_F(UserService, GrantsARoleToAnAccountThatExists) {
  sign_up();
  EXPECT_EQ(installation.command({"grant", "--email", "Ada@example.com", "--role", "admin"}), 0);
  EXPECT_EQ(installation.command({"grant", "--email", "nobody@example.com", "--role", "admin"}), 1);
  EXPECT_EQ(installation.command({"grant", "--email", "ada@example.com", "--role", "root"}), 2);
  EXPECT_EQ(installation.command({"grant"}), 2);
  const std::string token = log_in("ada@example.com").text("access_token");
  EXPECT_NE(payload_of_token(token).find("users:admin"), std::string::npos);
}

TEST_F(UserService, ThrottlesOneAddressAndStopsInOrder) {
  // 600 logins a minute on each of two loops, which count apart where there is no Redis. The
  // malformed ones count too, and cost no hash.
  int refused = 0;
  for (int i = 0; i < 1'400; ++i) {
    const Answer answer = post(service, "login", "{");
    if (answer.status == 429) ++refused;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 300);
  EXPECT_EQ(service.stop(), 0);
}

}  // namespace
}  // namespace stoa::user
