#include "servicekit/http/detail/loop_server.hpp"

#include <utility>

#include <sys/socket.h>

#include "servicekit/http/detail/render.hpp"

namespace stoa::http::detail {
namespace {

constexpr int listen_backlog = 4'096;
constexpr std::chrono::milliseconds sweep_every{100};
constexpr std::chrono::milliseconds accept_pause{10};
// A request that was on its way when the drain began finds its connection open: closing at once
// would lose it, and a POST may not be sent twice.
constexpr std::chrono::milliseconds drain_idle_grace{300};

}  // namespace

LoopServer::LoopServer(boost::asio::io_context& loop, std::shared_ptr<ServerShared> shared)
    : loop_{loop},
      shared_{std::move(shared)},
      pipeline_{{.routes = &shared_->router.routes(),
                 .authenticator = shared_->authenticator,
                 .telemetry = &shared_->telemetry,
                 .config = &shared_->config}},
      acceptor_{loop.get_executor()},
      sweep_timer_{loop.get_executor()},
      date_{http_date()} {}

void LoopServer::listen(const Tcp::endpoint& endpoint) {
  acceptor_.open(endpoint.protocol());
  acceptor_.set_option(boost::asio::socket_base::reuse_address(true));
  const int on = 1;
  if (::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    throw boost::system::system_error(errno, boost::system::system_category(), "SO_REUSEPORT");
  }
  acceptor_.bind(endpoint);
  acceptor_.listen(listen_backlog);
  acceptor_.non_blocking(true);
}

std::uint16_t LoopServer::port() const { return acceptor_.local_endpoint().port(); }

void LoopServer::start() {
  spawn(loop_, "http accept", accept(shared_from_this()));
  spawn(loop_, "http sweep", sweep(shared_from_this()));
}

Task<> LoopServer::accept(std::shared_ptr<LoopServer> self) {
  while (!self->draining_) {
    auto [error, socket] = co_await self->acceptor_.async_accept(as_result);
    if (!error) {
      self->adopt(std::move(socket));
      continue;
    }
    // Out of descriptors, or a client that left before it was accepted: no reason to stop, nor to
    // spin.
    if (!self->draining_) co_await sleep_for(accept_pause);
  }
}

void LoopServer::accept_waiting() {
  while (true) {
    ErrorCode error;
    Socket socket{loop_.get_executor()};
    acceptor_.accept(socket, error);
    if (error == boost::asio::error::connection_aborted) continue;
    if (error) return;
    adopt(std::move(socket));
  }
}

void LoopServer::adopt(Socket socket) {
  ErrorCode error;
  const auto peer = socket.remote_endpoint(error);
  if (error || open() >= limits().connections_max) return;
  socket.set_option(Tcp::no_delay(true), error);
  const auto address = peer.address().is_v6() && peer.address().to_v6().is_v4_mapped()
                           ? boost::asio::ip::address{boost::asio::ip::make_address_v4(
                                 boost::asio::ip::v4_mapped, peer.address().to_v6())}
                           : peer.address();
  open_.fetch_add(1, std::memory_order_relaxed);
  auto connection =
      std::make_shared<Connection>(shared_from_this(), std::move(socket), address.to_string());
  connections_.push_back(*connection);
  spawn(loop_, "http connection", Connection::run(std::move(connection)));
}

bool LoopServer::take_request() {
  if (in_flight_ >= limits().requests_in_flight_max) return false;
  ++in_flight_;
  return true;
}

void LoopServer::tell_gauges() {
  const std::size_t open_now = open();
  shared_->connections.add(static_cast<double>(open_now) - static_cast<double>(told_open_));
  shared_->in_flight.add(static_cast<double>(in_flight_) - static_cast<double>(told_in_flight_));
  told_open_ = open_now;
  told_in_flight_ = in_flight_;
}

Task<> LoopServer::sweep(std::shared_ptr<LoopServer> self) {
  while (!self->stopped_ || self->open() > 0) {
    self->date_ = http_date();
    const auto now = Clock::now();
    const bool end_idle = self->draining_ && now >= self->drain_idle_until_;
    for (Connection& connection : self->connections_) {
      connection.sweep(now);
      if (end_idle) connection.close_if_idle();
    }
    self->tell_gauges();
    self->sweep_timer_.expires_after(sweep_every);
    co_await self->sweep_timer_.async_wait(as_result);
  }
  self->tell_gauges();
}

void LoopServer::begin_drain() {
  if (draining_) return;
  draining_ = true;
  stopped_ = true;
  drain_idle_until_ = Clock::now() + drain_idle_grace;
  ErrorCode ignored;
  acceptor_.cancel(ignored);
  // Whoever is in the listen queue believes to be connected: closing the listener would reset it.
  accept_waiting();
  acceptor_.close(ignored);
  listener_closed_ = true;
}

void LoopServer::abort_connections() {
  for (Connection& connection : connections_) connection.abort();
}

}  // namespace stoa::http::detail
