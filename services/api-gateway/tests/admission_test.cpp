#include "services/api-gateway/admission.hpp"

#include <algorithm>
#include <deque>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/api-gateway/tests/gateway_under_test.hpp"

namespace stoa::gateway {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing_support::header_of;
using testing_support::RawClient;
using testing_support::ScriptedConnection;
using testing_support::ScriptedServer;
using testing_support::status_of;

using Nanoseconds = std::chrono::nanoseconds;

/// A service that does one call at a time, in their order, in virtual time, behind an admission.
class SlowService {
 public:
  explicit SlowService(const Admission::Limits& limits) : admission_{limits} {}

  /// Asks `per_second` times a second. Each call costs the service `cost` of work.
  void ask(int per_second, Nanoseconds cost, std::chrono::seconds for_so_long) {
    const auto end = now_ + for_so_long;
    for (; now_ < end; now_ += Nanoseconds{1s} / per_second) {
      work_off();
      if (!admission_.enter()) {
        ++refused;
        continue;
      }
      free_at_ = std::max(free_at_, now_) + cost;
      queue_.push_back({.began = now_, .now = free_at_, .is_answered = true});
      took.push_back(free_at_ - now_);
    }
  }
  double share_within(Nanoseconds limit) const {
    const auto within = std::ranges::count_if(took, [&](Nanoseconds one) { return one <= limit; });
    return static_cast<double>(within) / static_cast<double>(took.size());
  }
  void forget() {
    took.clear();
    refused = 0;
  }
  const Admission& admission() const { return admission_; }

  std::vector<Nanoseconds> took;  ///< by the calls that were let in
  std::size_t refused = 0;

 private:
  void work_off() {
    for (; !queue_.empty() && queue_.front().now <= now_; queue_.pop_front()) {
      admission_.leave(queue_.front());
    }
  }

  Admission admission_;
  std::deque<Admission::Ended> queue_;
  Admission::TimePoint now_ = Admission::TimePoint{} + 1h;
  Admission::TimePoint free_at_ = now_;
};

TEST(Admission, UnderTenTimesTheCapacityWhatIsLetInIsInTimeAndTheServiceIsBusy) {
  for (const auto cost : {1ms, 2ms, 4ms}) {
    SlowService service{{}};
    const int capacity = static_cast<int>(1s / cost);
    service.ask(10 * capacity, cost, 60s);
    EXPECT_GT(service.share_within(2 * Admission::Limits{}.target), 0.99) << cost;
    EXPECT_GT(service.took.size(), static_cast<std::size_t>(capacity) * 60 * 95 / 100) << cost;
    EXPECT_GT(service.refused, service.took.size() * 8) << cost;
  }
}

TEST(Admission, RefusesNobodyWhileTheServiceKeepsUp) {
  SlowService service{{}};
  service.ask(900, 1ms, 30s);
  EXPECT_EQ(service.refused, 0U);
}

TEST(Admission, AfterTheCrowdItLetsInWhatItDidBefore) {
  SlowService service{{}};
  service.ask(5'000, 4ms, 10s);
  ASSERT_LT(service.admission().limit(), Admission::Limits{}.first);
  service.ask(100, 4ms, 10s);
  EXPECT_GE(service.admission().limit(), Admission::Limits{}.first);
  service.forget();
  service.ask(100, 4ms, 10s);
  EXPECT_EQ(service.refused, 0U);
}

/// Fills what is free, and ends it all after `took`.
void fill(Admission& admission, std::size_t count, Admission::TimePoint began, milliseconds took,
          bool is_answered) {
  for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(admission.enter());
  for (std::size_t i = 0; i < count; ++i) {
    admission.leave({.began = began, .now = began + took, .is_answered = is_answered});
  }
}

TEST(Admission, AFewCallersOfASlowServiceAreNotRefused) {
  Admission admission{{}};
  auto now = Admission::TimePoint{} + 1h;
  for (int i = 0; i < 100; ++i, now += 5s) fill(admission, 50, now, 5s, false);
  EXPECT_EQ(admission.limit(), Admission::Limits{}.first);
}

TEST(Admission, HoweverSlowTheServiceSomeAreLetIn) {
  Admission admission{{}};
  auto now = Admission::TimePoint{} + 1h;
  for (int i = 0; i < 100; ++i, now += 5s) fill(admission, admission.limit(), now, 5s, false);
  EXPECT_EQ(admission.limit(), Admission::Limits{}.least);
  EXPECT_TRUE(admission.enter());
}

TEST(Admission, QuickFailuresAreNoReasonToLetMoreIn) {
  Admission admission{{}};
  auto now = Admission::TimePoint{} + 1h;
  for (int i = 0; i < 100; ++i, now += 1s) fill(admission, admission.limit(), now, 1ms, false);
  EXPECT_EQ(admission.limit(), Admission::Limits{}.first);
}

TEST(Admission, WhatIsInTimeMayBecomeMoreUpToTheMost) {
  Admission admission{{}};
  auto now = Admission::TimePoint{} + 1h;
  for (int i = 0; i < 100; ++i, now += 1s) fill(admission, admission.limit(), now, 1ms, true);
  EXPECT_EQ(admission.limit(), Admission::Limits{}.most);
}

TEST(Admission, WhatASilentServiceCannotTakeIsRefusedAtOnce) {
  ScriptedServer upstream{[](ScriptedConnection& connection) { connection.await_close(); }};
  GatewayUnderTest gateway{{.addresses = {upstream.address()}, .upstream = {.timeout = 60s}}};
  std::deque<RawClient> waiting;
  for (std::size_t i = 0; i < Admission::Limits{}.first; ++i) {
    waiting.emplace_back(gateway.port())
        .send("POST /api/v1/orders HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 0\r\n\r\n");
  }
  std::string refused;
  const auto give_up = std::chrono::steady_clock::now() + RawClient::patience;
  // Those before it are on their way: their places are taken one by one.
  while (upstream.connections() < static_cast<int>(Admission::Limits{}.first)) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::yield();
  }
  refused = gateway.ask("POST /api/v1/orders HTTP/1.1\r\ncontent-length: 0");
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_EQ(header_of(refused, "retry-after"), "1");
  EXPECT_THAT(gateway.metrics(),
              HasSubstr("stoa_gateway_shed_total{service=\"order-service\"} 1\n"));
}

}  // namespace
}  // namespace stoa::gateway
