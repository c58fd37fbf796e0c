#include "servicekit/http/detail/origin.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include <boost/asio/ip/basic_resolver.hpp>

namespace stoa::http::detail {
namespace {

constexpr std::size_t client_buffer = 16 * 1024;
// Names of services change when replicas come and go.
constexpr std::chrono::seconds resolution_lasts{5};
// Well below the time after which a server ends an idle connection (60 s here): a request must not
// meet that end on its way, since nobody could tell whether it was served.
constexpr std::chrono::seconds idle_max{30};

}  // namespace

Task<bool> WaitList::wait(boost::asio::io_context* loop, Clock::time_point deadline) {
  Waiter waiter{*loop};
  waiter.timer.expires_at(deadline);
  waiters_.push_back(waiter);
  const Place place{*this, waiter};
  co_await waiter.timer.async_wait(as_result);
  co_return waiter.woken;
}

void WaitList::wake_one() {
  if (waiters_.empty()) return;
  Waiter& waiter = waiters_.front();
  waiters_.pop_front();
  waiter.woken = true;
  waiter.timer.cancel();
}

void WaitList::wake_all() {
  while (!waiters_.empty()) wake_one();
}

ClientConnection::ClientConnection(boost::asio::io_context& loop)
    : socket{loop.get_executor()},
      parser{Parser::Kind::response, {.header_bytes_max = 64 * 1024, .header_count_max = 128}} {
  buffer.resize(client_buffer);
}

Origin::Origin(boost::asio::io_context& loop, const ClientConfig& config,
               const std::string& address)
    : loop_{loop},
      address_{address},
      connections_max_{config.connections_max},
      breaker_{{.failures = config.breaker_failures, .open_for = config.breaker_open_for}} {
  const std::size_t colon = address.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos) {
    host_ = address.substr(0, colon);
    service_ = address.substr(colon + 1);
    if (host_.starts_with('[') && host_.ends_with(']')) host_ = host_.substr(1, host_.size() - 2);
    const char* const end = service_.data() + service_.size();
    if (std::from_chars(service_.data(), end, port).ptr != end) port = 0;
  }
  if (host_.empty() || port == 0) {
    throw std::runtime_error{"an address of " + config.name + " is not host:port: " + address};
  }
  ErrorCode error;
  const auto literal = boost::asio::ip::make_address(host_, error);
  literal_ = !error;
  if (literal_) endpoints_ = {{literal, port}};
}

std::unique_ptr<ClientConnection> Origin::take_idle() {
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    const auto now = Clock::now();
    const bool old = now - connection->idle_since >= idle_max || now >= connection->use_until;
    // Old, closed, or talking out of turn: either way not for the next request.
    if (!old && !has_news(connection->socket)) {
      connection->reused = true;
      return connection;
    }
    connection.reset();
    --open_;
  }
  return nullptr;
}

void Origin::put_idle(std::unique_ptr<ClientConnection> connection) {
  connection->idle_since = Clock::now();
  idle_.push_back(std::move(connection));
  waiting_.wake_one();
}

void Origin::closed() {
  --open_;
  waiting_.wake_one();
}

Task<std::vector<Tcp::endpoint>> Origin::endpoints(std::shared_ptr<Origin> self,
                                                   Clock::time_point deadline) {
  if (self->literal_) co_return self->endpoints_;
  if (Clock::now() - self->resolved_at_ > resolution_lasts) {
    if (!self->resolving_) {
      self->resolving_ = true;
      spawn(self->loop_, "resolve", resolve(self));
    }
    co_await self->waiting_for_name_.wait(&self->loop_, deadline);
  }
  auto found = self->endpoints_;
  if (found.size() > 1) {
    const auto turn = static_cast<std::ptrdiff_t>(self->turn_++ % found.size());
    std::ranges::rotate(found, found.begin() + turn);
  }
  co_return found;
}

Task<> Origin::resolve(std::shared_ptr<Origin> self) {
  // Asio runs getaddrinfo on a thread of its own, where it may block as long as it likes.
  boost::asio::ip::basic_resolver<Tcp, Executor> resolver{self->loop_.get_executor()};
  const auto [error, results] =
      co_await resolver.async_resolve(self->host_, self->service_, as_result);
  self->resolving_ = false;
  if (!error && !results.empty()) {
    self->endpoints_.clear();
    for (const auto& result : results) self->endpoints_.push_back(result.endpoint());
    self->resolved_at_ = Clock::now();
  }
  self->waiting_for_name_.wake_all();
}

}  // namespace stoa::http::detail
