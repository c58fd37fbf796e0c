#include <chrono>
#include <format>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "services/user-service/tests/running_service.hpp"

namespace stoa::user {
namespace {

using namespace std::chrono_literals;

// One account may end any number of sessions at once: they must not hide those of the others.
TEST(Revocations, AreToldBeyondOneAnswer) {
  const Installation installation;
  const RunningService service{installation};
  const auto sign_up = [&](std::string_view email) {
    return send(service,
                {.method = "POST",
                 .path = "/api/v1/auth/register",
                 .body = std::format(R"({{"email":"{}","password":"correct horse","name":"Ada"}})",
                                     email)});
  };
  const auto log_out = [&](const std::string& authorization) {
    return send(
        service,
        {.method = "POST", .path = "/api/v1/auth/logout-all", .authorization = authorization});
  };
  const std::string many = bearer(sign_up("many@example.com").text("access_token"));
  const std::string other = bearer(sign_up("other@example.com").text("access_token"));
  installation.sql(
      "INSERT INTO sessions (id, user_id, expires_at) "
      "SELECT gen_random_uuid(), id, now() + interval '1 day' "
      "FROM users, generate_series(1, 20000) WHERE email = 'many@example.com'");
  ASSERT_EQ(log_out(many).status, 204);
  ASSERT_EQ(log_out(other).status, 204);

  const auto asked = [&](const std::string& query) {
    return send(service, {.path = "/internal/v1/revocations" + query,
                          .authorization = installation.authorization_of("order-service")});
  };
  const Answer full = asked("");
  EXPECT_TRUE(full.raw.contains(R"("more":true)"));
  const auto last = full.raw.rfind("ses_");
  ASSERT_NE(last, std::string::npos);
  const Answer rest = asked("?after=" + full.raw.substr(last, 30));
  EXPECT_TRUE(rest.raw.contains(R"("more":false)")) << rest.raw;
  EXPECT_TRUE(rest.raw.contains("ses_")) << rest.raw;

  const auto me = [&] {
    return send(service, {.path = "/api/v1/users/me", .authorization = other}).text("code");
  };
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (me().empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(me(), "session_revoked");
}

}  // namespace
}  // namespace stoa::user
