#include "servicekit/http/detail/loop_client.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/async/random_between.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa::http::detail {
namespace {

// The precision of a call's deadline: one timer per loop instead of one per call.
constexpr std::chrono::milliseconds sweep_every{10};
constexpr int repeats_max = 1;  // beside those that never reached an address
constexpr int pause_min_ms = 5;
constexpr int pause_max_ms = 25;
constexpr double youngest_share = 0.5;  // of the age at which a connection ends
constexpr int server_error = 500;
constexpr int service_unavailable = 503;

}  // namespace

Lease::Lease(std::shared_ptr<LoopClient> client, std::shared_ptr<Origin> origin,
             std::unique_ptr<ClientConnection> connection)
    : client_{std::move(client)}, origin_{std::move(origin)}, connection_{std::move(connection)} {
  client_->watch(*connection_);
}

Lease::~Lease() {
  if (!connection_) return;
  connection_.reset();
  origin_->closed();
}

void Lease::give_back() {
  connection_->unlink();
  connection_->deadline = Clock::time_point::max();
  origin_->put_idle(std::move(connection_));
}

LoopClient::LoopClient(boost::asio::io_context& loop, const ClientConfig& config,
                       ClientMetrics metrics)
    : loop_{loop},
      config_{config},
      metrics_{std::move(metrics)},
      budget_{config.retry_ratio_max},
      random_{std::random_device{}()} {
  for (const std::string& address : config_.addresses) {
    origins_.push_back(std::make_shared<Origin>(loop, config_, address));
  }
  // Loops begin at different replicas.
  if (!origins_.empty()) turn_ = random_() % origins_.size();
}

void LoopClient::watch(ClientConnection& connection) {
  watched_.push_back(connection);
  if (std::exchange(sweeping_, true)) return;
  spawn(loop_, "http client sweep", sweep(shared_from_this()));
}

Task<> LoopClient::sweep(std::shared_ptr<LoopClient> self) {
  Timer timer{self->loop_.get_executor()};
  while (!self->watched_.empty()) {
    const auto now = Clock::now();
    for (ClientConnection& connection : self->watched_) {
      if (now < connection.deadline) continue;
      connection.timed_out = true;
      connection.deadline = Clock::time_point::max();
      ErrorCode ignored;
      connection.socket.cancel(ignored);
    }
    timer.expires_after(sweep_every);
    co_await timer.async_wait(as_result);
  }
  self->sweeping_ = false;
}

std::optional<LoopClient::Target> LoopClient::choose(const std::vector<bool>& tried) {
  const auto now = Clock::now();
  std::optional<std::size_t> last_choice;
  for (std::size_t i = 0; i < origins_.size(); ++i) {
    const std::size_t index = turn_++ % origins_.size();
    const Breaker& breaker = origins_[index]->breaker();
    if (tried[index] || !breaker.allows(now)) continue;
    last_choice = index;
    if (!breaker.is_last_choice(now)) break;
  }
  if (!last_choice) return std::nullopt;
  origins_[*last_choice]->breaker().begin(now);
  return Target{.origin = origins_[*last_choice], .index = *last_choice};
}

void LoopClient::judge(Target& target, const Attempt& attempt) {
  Breaker& breaker = target.origin->breaker();
  const auto now = Clock::now();
  const bool was_out = breaker.is_open() || breaker.is_last_choice(now);
  // A connection that had gone stale in the pool says nothing about the callee.
  const bool stale = !attempt.response && attempt.reused && !attempt.received;
  if (attempt.response && attempt.response->status < server_error) {
    breaker.succeeded();
  } else if (attempt.refused) {
    breaker.refused(now);
  } else if (!stale && !attempt.is_ours) {
    breaker.failed(now);
  }
  const bool is_out = breaker.is_open() || breaker.is_last_choice(now);
  if (is_out != was_out) metrics_.breaker_open[target.index].set(is_out ? 1 : 0);
}

bool LoopClient::may_repeat(const Call& call, const Attempt& attempt) {
  const auto now = Clock::now();
  if (now >= call.deadline) return false;
  if (attempt.response) {
    return attempt.response->status == service_unavailable && call.request.idempotent &&
           !call.request.upload && budget_.take(now);
  }
  // What never left us may go anywhere. What left on a pooled connection and met its end may be
  // repeated only if twice is as good as once.
  if (!attempt.sent) return true;
  return attempt.reused && !attempt.received && call.request.idempotent && !call.request.upload &&
         budget_.take(now);
}

std::chrono::milliseconds LoopClient::pause() {
  return std::chrono::milliseconds{
      std::uniform_int_distribution<int>{pause_min_ms, pause_max_ms}(random_)};
}

void LoopClient::count(const Attempt& attempt, Clock::time_point started) const {
  metrics_.duration.observe(Clock::now() - started);
  if (!attempt.response) {
    metrics_.unavailable.add();
    return;
  }
  const int status_class = std::clamp(attempt.response->status / 100, 1, 5);
  metrics_.by_class[static_cast<std::size_t>(status_class) - 1].add();
}

Task<ClientResponse> LoopClient::send(std::shared_ptr<LoopClient> self, Call call) {
  const auto started = Clock::now();
  self->budget_.count_request(started);
  std::vector<bool> tried(self->origins_.size(), false);
  Attempt attempt;
  int repeats = 0;
  while (auto target = self->choose(tried)) {
    attempt = co_await try_once(self, target->origin, &call);
    self->judge(*target, attempt);
    const bool well = attempt.response && attempt.response->status != service_unavailable;
    if (well || repeats == repeats_max || !self->may_repeat(call, attempt)) break;
    // An address that could not be reached is out; one that answered may be asked once more.
    if (!attempt.sent) {
      if (!attempt.reused) tried[target->index] = true;
    } else {
      ++repeats;
      const auto wait = self->pause();
      co_await sleep_for(wait);
    }
    self->metrics_.retries.add();
  }
  self->count(attempt, started);
  if (!attempt.response) {
    const bool none_asked = attempt.failure.empty();
    throw Unavailable{
        self->config_.name + ": " +
        (none_asked ? "every address is failing, its breaker is open" : attempt.failure)};
  }
  co_return std::move(*attempt.response);
}

Task<Attempt> LoopClient::try_once(std::shared_ptr<LoopClient> self, std::shared_ptr<Origin> origin,
                                   Call* call) {
  Attempt failed;
  if (origin->waiting().size() >= self->config_.waiting_max) {
    failed.failure = "too many calls wait for a connection";
    failed.is_ours = true;
    failed.sent = true;  // not to be tried again
    co_return failed;
  }
  auto lease = co_await acquire(self, origin, call->deadline, &failed);
  if (!lease) co_return failed;
  Attempt attempt = co_await run_call(std::move(*lease), call, &self->config_);
  co_return attempt;
}

Task<std::optional<Lease>> LoopClient::acquire(std::shared_ptr<LoopClient> self,
                                               std::shared_ptr<Origin> origin,
                                               Clock::time_point deadline, Attempt* failed) {
  while (true) {
    auto idle = origin->take_idle();
    if (idle) co_return Lease{self, origin, std::move(idle)};
    if (origin->may_open()) break;
    const bool woken = co_await origin->waiting().wait(&self->loop_, deadline);
    if (woken) continue;
    failed->is_ours = true;
    failed->failure = "every connection to " + origin->address() + " is taken";
    co_return std::nullopt;
  }
  origin->opened();
  Lease lease{self, origin, std::make_unique<ClientConnection>(self->loop_)};
  const auto connect_by = std::min(deadline, Clock::now() + self->config_.connect_timeout);
  const ErrorCode error = co_await connect(origin, &*lease, connect_by);
  if (!error) {
    // Not all at once: those that were opened together end apart.
    const auto age = self->config_.connection_age_max * random_between(youngest_share, 1);
    lease->use_until = Clock::now() + std::chrono::duration_cast<Clock::duration>(age);
    co_return lease;
  }
  failed->refused = error == boost::asio::error::connection_refused;
  failed->failure = "no connection to " + origin->address() + ": " + error.message();
  co_return std::nullopt;
}

Task<ErrorCode> LoopClient::connect(std::shared_ptr<Origin> origin, ClientConnection* connection,
                                    Clock::time_point deadline) {
  const auto endpoints = co_await Origin::endpoints(origin, deadline);
  ErrorCode failure = boost::asio::error::host_not_found;
  for (const Tcp::endpoint& endpoint : endpoints) {
    if (Clock::now() >= deadline) break;
    connection->deadline = deadline;
    connection->timed_out = false;
    const auto [error] = co_await connection->socket.async_connect(endpoint, as_result);
    ErrorCode ignored;
    if (!error) {
      connection->socket.set_option(Tcp::no_delay(true), ignored);
      co_return ErrorCode{};
    }
    failure = error;
    connection->socket.close(ignored);
  }
  origin->forget_endpoints();
  co_return failure;
}

}  // namespace stoa::http::detail
