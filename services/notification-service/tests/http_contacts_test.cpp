#include "services/notification-service/adapters/http_contacts.hpp"

#include <format>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/run.hpp"
#include "servicekit/testing/scripted_server.hpp"

namespace stoa::notification {
namespace {

using testing_support::ScriptedConnection;
using testing_support::ScriptedServer;

Secret<> new_key() {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  Secret<> pem{std::string(text, static_cast<std::size_t>(size))};
  BIO_free(memory);
  EVP_PKEY_free(key);
  return pem;
}

class HttpContactsTest : public testing::Test {
 protected:
  /// What user-service answers, and the question it was asked.
  std::optional<Contact> find(std::string_view status, const std::string& body) {
    ScriptedServer server{[&](ScriptedConnection& connection) {
      {
        const std::lock_guard lock{mutex_};
        question_ = connection.read_until("\r\n\r\n");
      }
      connection.send(
          std::format("HTTP/1.1 {}\r\ncontent-type: application/json\r\n"
                      "content-length: {}\r\n\r\n{}",
                      status, body.size(), body));
      connection.await_close();
    }};
    Loops loops{1};
    http::Client users{
        loops, {.name = "user-service", .addresses = {server.address()}}, telemetry_};
    HttpContacts contacts{users, tokens_};
    const UserId ann{*Uuid::parse("01932f6e-7c00-7000-8000-00000000000a")};
    Context context = Context{}.within(std::chrono::seconds{10});
    return testing_support::run_on(loops, contacts.find(std::move(context), ann));
  }
  std::string question() {
    const std::lock_guard lock{mutex_};
    return question_;
  }

  telemetry::Telemetry telemetry_{{.service = "test", .log_level = "off"}};
  auth::ServiceTokens tokens_{"notification-service", new_key()};
  std::mutex mutex_;
  std::string question_;
};

TEST_F(HttpContactsTest, AsksUserServiceInItsOwnName) {
  const auto contact = find("200 OK", R"({"email": "ann@x.test", "name": "Ann", "newer": 1})");

  ASSERT_TRUE(contact);
  EXPECT_EQ(contact->email, "ann@x.test");
  EXPECT_EQ(contact->name, "Ann");
  EXPECT_TRUE(question().starts_with(
      "GET /internal/v1/users/usr_01jcqpwz00e00800000000000a/contact HTTP/1.1\r\n"))
      << question();
  EXPECT_TRUE(question().contains("authorization: Bearer ")) << question();
}

TEST_F(HttpContactsTest, TakesAUserForErasedOnlyOnUserServicesWord) {
  EXPECT_FALSE(find("404 Not Found", R"({"code": "user_not_found"})"));
  EXPECT_THROW(find("404 Not Found", R"({"code": "route_not_found"})"), Unavailable);
  EXPECT_THROW(find("404 Not Found", "nothing here"), Unavailable);
}

TEST_F(HttpContactsTest, WaitsForAnAnswerThatIsOne) {
  EXPECT_THROW(find("401 Unauthorized", "{}"), Unavailable);
  EXPECT_THROW(find("503 Service Unavailable", "{}"), Unavailable);
  EXPECT_THROW(find("200 OK", R"({"email": 7})"), Unavailable);
}

}  // namespace
}  // namespace stoa::notification
