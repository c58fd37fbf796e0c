#include "servicekit/redis/link.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <boost/redis/connection.hpp>
#pragma GCC diagnostic pop

#include "servicekit/async/loops.hpp"
#include "servicekit/core/require.hpp"

namespace stoa::redis::detail {
namespace {

namespace asio = boost::asio;

using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

constexpr std::chrono::seconds connect_timeout{2};
// A frozen server is noticed after twice this.
constexpr std::chrono::seconds ping_interval{1};

// The scheme of Redis URIs over TLS.
constexpr std::string_view tls_scheme = "rediss://";

struct Endpoint {
  std::string host;
  std::string port;
  bool tls = false;
};

Endpoint endpoint_of(std::string_view address) {
  const bool tls = address.starts_with(tls_scheme);
  if (tls) address.remove_prefix(tls_scheme.size());
  const auto colon = address.rfind(':');
  require(colon != std::string_view::npos, "a Redis address is host:port");
  return {.host = std::string{address.substr(0, colon)},
          .port = std::string{address.substr(colon + 1)},
          .tls = tls};
}

boost::redis::config settings_of(const RedisConfig& config, const Endpoint& endpoint) {
  boost::redis::config settings;
  settings.addr = {.host = endpoint.host, .port = endpoint.port};
  settings.use_ssl = endpoint.tls;
  if (!config.username.empty()) settings.username = config.username;
  settings.password = config.password.reveal();
  settings.clientname = "stoa";
  settings.health_check_interval = ping_interval;
  settings.resolve_timeout = connect_timeout;
  settings.connect_timeout = connect_timeout;
  settings.ssl_handshake_timeout = connect_timeout;
  // Run again by ourselves: Boost 1.88 ends its run on a refused connection whatever this says.
  settings.reconnect_wait_interval = std::chrono::seconds::zero();
  return settings;
}

asio::ssl::context tls_context(const Endpoint& endpoint) {
  asio::ssl::context context{asio::ssl::context::tls_client};
  if (!endpoint.tls) return context;
  context.set_default_verify_paths();
  context.set_verify_mode(asio::ssl::verify_peer);
  context.set_verify_callback(asio::ssl::host_name_verification{endpoint.host});
  return context;
}

}  // namespace

struct Link::Call {
  explicit Call(asio::io_context& loop) : timer{loop.get_executor()} {}

  boost::redis::request request{};
  boost::redis::generic_response response{};
  Timer timer;
  bool done = false;
  bool ok = false;
};

Link::Link(asio::io_context& loop, RedisConfig config, telemetry::Counter failures)
    : loop_{loop}, config_{std::move(config)}, failures_counter_{failures} {}

Link::~Link() = default;

Task<> Link::run(std::shared_ptr<Link> link) {
  if (link->config_.address.empty()) co_return;
  const Endpoint endpoint = endpoint_of(link->config_.address);
  const boost::redis::config settings = settings_of(link->config_, endpoint);
  auto wait = reconnect_min;
  while (!link->stopping_) {
    const auto started = Clock::now();
    // A new one each time: the state of a connection that died half-way is not worth trusting.
    const auto connection =
        std::make_shared<boost::redis::connection>(link->loop_, tls_context(endpoint));
    link->connection_ = connection;
    co_await connection->async_run(settings,
                                   boost::redis::logger{boost::redis::logger::level::disabled},
                                   asio::as_tuple(asio::use_awaitable_t<Executor>{}));
    link->connection_.reset();
    link->failures_counter_.add();
    wait =
        Clock::now() - started > reconnect_max ? reconnect_min : std::min(wait * 2, reconnect_max);
    co_await sleep_for(wait);
  }
}

bool Link::worth_asking() {
  if (connection_ == nullptr || in_flight_ >= in_flight_max) return false;
  if (failures_ < failures_max) return true;
  const auto now = Clock::now();
  if (now < ask_again_at_) return false;
  ask_again_at_ = now + rest;
  return true;
}

void Link::succeeded() { failures_ = 0; }

void Link::failed() {
  failures_counter_.add();
  if (++failures_ >= failures_max) ask_again_at_ = Clock::now() + rest;
}

Task<std::optional<Replies>> Link::execute(Context context, std::vector<Command> commands) {
  if (!worth_asking()) co_return std::nullopt;

  const auto call = std::make_shared<Call>(loop_);
  call->request.get_config().cancel_if_not_connected = true;
  for (const Command& command : commands) {
    call->request.push_range(command.front(), std::next(command.begin()), command.end());
  }
  ++in_flight_;
  // The call outlives a waiter that gave up: its reply is still to be read off the connection.
  connection_->async_exec(call->request, call->response,
                          [call, link = shared_from_this(), connection = connection_](
                              boost::system::error_code error, std::size_t) {
                            --link->in_flight_;
                            call->done = true;
                            call->ok = !error && call->response.has_value();
                            call->timer.cancel();
                          });
  call->timer.expires_at(std::min(context.deadline, Clock::now() + config_.timeout));
  if (!call->done) {
    co_await call->timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
  }
  if (!call->ok) {
    failed();
    co_return std::nullopt;
  }
  succeeded();
  Replies replies;
  for (const auto& node : call->response.value()) {
    if (boost::redis::resp3::is_aggregate(node.data_type)) continue;
    if (node.data_type == boost::redis::resp3::type::null) {
      replies.emplace_back(std::nullopt);
    } else {
      replies.emplace_back(node.value);
    }
  }
  co_return replies;
}

}  // namespace stoa::redis::detail
