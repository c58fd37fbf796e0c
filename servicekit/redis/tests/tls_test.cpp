#include <cstdlib>
#include <filesystem>
#include <format>
#include <string>

#include <gtest/gtest.h>

#include "servicekit/async/loops.hpp"
#include "servicekit/redis/redis.hpp"
#include "servicekit/telemetry/telemetry.hpp"
#include "servicekit/testing/private_redis.hpp"
#include "servicekit/testing/run.hpp"

namespace stoa::redis {
namespace {

using namespace std::chrono_literals;
using testing_support::PrivateRedis;

Task<std::optional<std::string>> load(int* loads) {
  ++*loads;
  co_return "value";
}

/// A certificate of `localhost`, by the command that the tools use as well.
class Certificate {
 public:
  Certificate() {
    std::string name = (std::filesystem::temp_directory_path() / "stoa-tls-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    const std::string command = std::format(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout {0}/key.pem -out {0}/certificate.pem "
        "2>/dev/null",
        folder_.string());
    EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(concurrency-mt-unsafe,cert-env33-c)
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate() { std::filesystem::remove_all(folder_); }

  PrivateRedis::Tls files() const {
    return {.certificate = folder_ / "certificate.pem", .key = folder_ / "key.pem"};
  }

 private:
  std::filesystem::path folder_;
};

class RedisTls : public testing::Test {
 protected:
  /// How many of two reads of one key had to load, once the cache has had time to connect.
  int loads_through(const std::string& address, std::chrono::seconds patience = 1s) {
    Loops loops{1};
    Cache cache{
        loops, {.address = address, .password = Secret<>{std::string{"secret"}}}, telemetry};
    cache.start();
    int loads = 0;
    const auto until = std::chrono::steady_clock::now() + patience;
    for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
      loads = 0;
      const std::string key = std::format("{}-{}", address, i);
      for (int read = 0; read < 2; ++read) {
        testing_support::run_on(
            loops, cache.get(Context{}, key, 60s, [&loads](Context) { return load(&loads); }));
        testing_support::run_on(loops, sleep_for(10ms));
      }
      if (loads == 1) break;
    }
    return loads;
  }

  Certificate certificate;
  PrivateRedis redis{"secret", certificate.files()};
  telemetry::Telemetry telemetry{{.service = "redis-test", .log_level = "error"}};
};

TEST_F(RedisTls, BelievesACertificateOfItsRootsForThisHost) {
  ASSERT_EQ(setenv("SSL_CERT_FILE", certificate.files().certificate.c_str(), 1), 0);
  EXPECT_EQ(loads_through(std::format("rediss://localhost:{}", redis.tls_port()), 10s), 1);
  EXPECT_EQ(loads_through(std::format("rediss://127.0.0.1:{}", redis.tls_port())), 2)
      << "the certificate is another host's";
  EXPECT_EQ(loads_through(std::format("rediss://localhost:{}", redis.port())), 2)
      << "a server without TLS";
  unsetenv("SSL_CERT_FILE");
  EXPECT_EQ(loads_through(std::format("rediss://localhost:{}", redis.tls_port())), 2)
      << "nobody vouches for it";
}

}  // namespace
}  // namespace stoa::redis
