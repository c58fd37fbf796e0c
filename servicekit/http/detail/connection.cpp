#include "servicekit/http/detail/connection.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/http/detail/loop_server.hpp"
#include "servicekit/http/detail/render.hpp"

namespace stoa::http::detail {
namespace {

constexpr std::size_t first_buffer = 8 * 1024;
constexpr std::size_t piece_max = 64 * 1024;        // of a streamed body
constexpr std::size_t kept_buffer_max = 64 * 1024;  // by an idle connection
constexpr std::size_t head_slack = 8 * 1024;        // separators of a head, beside names and values
constexpr std::size_t discard_max = 64 * 1024;      // of a body nobody wants
constexpr std::chrono::milliseconds discard_for{1'000};

ParserLimits parser_limits(const ServerLimits& limits) {
  return {.header_bytes_max = limits.header_bytes_max,
          .header_count_max = limits.header_count_max,
          .target_bytes_max = limits.target_bytes_max};
}

// The client stopped in the middle of its body: nothing is wrong with the world.
class BodyCutShort : public Unavailable {
 public:
  using Unavailable::Unavailable;
};

constexpr Refusal head_too_large{431, "headers_too_large", "the header section is too large"};
constexpr Refusal head_too_slow{408, "request_timeout", "the request did not arrive in time"};
constexpr Refusal body_too_slow{408, "request_timeout", "the body did not arrive in time"};

}  // namespace

Connection::Connection(std::shared_ptr<LoopServer> server, Socket socket, std::string peer)
    : server_{std::move(server)},
      socket_{std::move(socket)},
      peer_{std::move(peer)},
      peer_trusted_{server_->pipeline().trusts(peer_)},
      parser_{Parser::Kind::request, parser_limits(server_->limits())} {
  buffer_.resize(first_buffer);
  exchange_.message = &parser_.message();
  exchange_.stream = this;
  deadline_ = Clock::now() + server_->limits().head_timeout;
}

Connection::~Connection() { server_->removed(); }

void Connection::sweep(Clock::time_point now) {
  if (phase_ == Phase::handling || now < deadline_) return;
  timed_out_ = true;
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Connection::close_if_idle() {
  if (phase_ == Phase::idle) abort();
}

void Connection::abort() {
  must_close_ = true;
  ErrorCode ignored;
  socket_.cancel(ignored);
  socket_.shutdown(Tcp::socket::shutdown_both, ignored);
}

Task<> Connection::run(std::shared_ptr<Connection> self) {
  Outcome outcome = Outcome::go_on;
  while (outcome == Outcome::go_on && !self->must_close_) {
    outcome = co_await self->read_head();
    if (outcome == Outcome::go_on) outcome = co_await self->serve_request();
  }
  ErrorCode ignored;
  self->socket_.close(ignored);
}

void Connection::make_room(std::size_t wanted) {
  if (start_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + start_, have_ - start_);
    have_ -= start_;
    parsed_ -= start_;
    stream_from_ -= std::min(stream_from_, start_);
    start_ = 0;
  }
  if (buffer_.size() - have_ < wanted) {
    buffer_.resize(std::max(buffer_.size() * 2, have_ + wanted));
  }
  parser_.rebase(base());
}

Task<bool> Connection::read_more(Phase phase, Clock::time_point deadline) {
  phase_ = phase;
  deadline_ = deadline;
  const std::size_t size = std::min(buffer_.size() - have_, piece_max);
  const auto room = boost::asio::buffer(buffer_.data() + have_, size);
  const auto [error, count] = co_await socket_.async_read_some(room, as_result);
  phase_ = Phase::handling;
  if (error) co_return false;
  have_ += count;
  co_return true;
}

Task<Connection::Outcome> Connection::read_head() {
  while (true) {
    std::size_t used = 0;
    const auto step = parser_.feed(base(), parsed_ - start_, have_ - start_, used);
    if (step == Parser::Step::bad) {
      co_await write_refusal(parser_.refusal());
      co_return Outcome::end;
    }
    parsed_ = start_ + used;
    if (step == Parser::Step::head) co_return Outcome::go_on;
    // Nothing complete is left in the buffer: what was answered so far goes out in one write.
    if (!flushed_at_once()) {
      const bool flushed = co_await flush();
      if (!flushed) co_return Outcome::end;
    }
    const Outcome more = co_await await_head();
    if (more == Outcome::end) co_return Outcome::end;
  }
}

Task<Connection::Outcome> Connection::await_head() {
  const bool idle = have_ == start_;
  if (idle) {
    start_ = parsed_ = have_ = 0;
    if (buffer_.size() > kept_buffer_max) std::string(first_buffer, '\0').swap(buffer_);
  }
  // Blanks that the parser skips are in no count of its own.
  const ServerLimits& limits = server_->limits();
  if (have_ - start_ > limits.header_bytes_max + limits.target_bytes_max + head_slack) {
    co_await write_refusal(head_too_large);
    co_return Outcome::end;
  }
  make_room(1);
  const bool read = co_await read_more(idle ? Phase::idle : Phase::reading_head,
                                       idle ? Clock::now() + limits.idle_timeout : head_deadline_);
  if (!read) {
    if (timed_out_ && !idle) co_await write_refusal(head_too_slow);
    co_return Outcome::end;
  }
  // From the first byte, and no further byte renews it: a slow client cannot hold a connection.
  if (idle) head_deadline_ = Clock::now() + server_->limits().head_timeout;
  co_return Outcome::go_on;
}

Task<Connection::Outcome> Connection::serve_request() {
  message_done_ = false;
  stream_from_ = parsed_;
  auto response = co_await make_response();
  if (!response) co_return Outcome::end;
  if (!message_done_) co_await discard_body();
  server_->pipeline().finish(exchange_, *response);
  co_await write_response(std::move(*response));
  if (must_close_) {
    co_await flush();
    co_await linger();
    co_return Outcome::end;
  }
  next_message();
  co_return Outcome::go_on;
}

Task<std::optional<Response>> Connection::make_response() {
  Pipeline& pipeline = server_->pipeline();
  auto refused = pipeline.begin(exchange_, peer_, peer_trusted_);
  if (!refused && Pipeline::needs_identity(exchange_)) {
    refused = co_await pipeline.admit(&exchange_);
  }
  if (refused) co_return refused;
  const RouteOptions& options = exchange_.route->options;
  parser_.expect_body(options.body_max, !options.streamed);
  body_refusal_.reset();
  if (options.streamed) {
    // Made before the handler holds views of the head: the buffer does not move under it.
    if (parser_.message().announces_body()) make_room(piece_max);
  } else if (!feed_body(refused)) {
    refused = co_await read_body();
    if (!refused && must_close_) co_return std::nullopt;
  }
  if (refused) co_return refused;
  if (!server_->take_request()) {
    server_->shared().shed.add();
    co_return unavailable_problem();
  }
  Response response = co_await pipeline.answer(&exchange_);
  server_->give_request();
  if (body_refusal_) response = problem_of(*body_refusal_);
  co_return response;
}

bool Connection::feed_body(std::optional<Response>& refused) {
  std::size_t used = 0;
  const auto step = parser_.feed(base(), parsed_ - start_, have_ - start_, used);
  if (step == Parser::Step::bad) {
    must_close_ = true;
    refused = problem_of(parser_.refusal());
    return true;
  }
  parsed_ = start_ + used;
  message_done_ = step == Parser::Step::message;
  // A chunked body is collected elsewhere: what was parsed of it needs no room here.
  if (!message_done_ && parser_.message().chunked()) parsed_ = have_ = stream_from_;
  return message_done_;
}

void Connection::continue_expected() {
  const Message& message = parser_.message();
  if (message.http_1_0() || parsed_ < have_ || message.header("expect").empty()) return;
  out_ += "HTTP/1.1 100 Continue\r\n\r\n";
}

Task<std::optional<Response>> Connection::read_body() {
  const auto deadline = Clock::now() + server_->limits().body_timeout;
  std::optional<Response> refused;
  continue_expected();
  do {
    const bool flushed = co_await flush();
    make_room(1);
    bool read = false;
    if (flushed) read = co_await read_more(Phase::reading_body, deadline);
    if (!read) {
      must_close_ = true;
      if (timed_out_) refused = problem_of(body_too_slow);
      co_return refused;
    }
  } while (!feed_body(refused));
  co_return refused;
}

Task<std::string> Connection::next_piece(Clock::time_point until) {
  Message& message = parser_.message();
  while (!message_done_) {
    std::size_t used = 0;
    const auto step = parser_.feed(base(), parsed_ - start_, have_ - start_, used);
    if (step == Parser::Step::bad) {
      must_close_ = true;
      body_refusal_ = parser_.refusal();
      throw BodyCutShort{"the body is not well-formed or too large"};
    }
    parsed_ = start_ + used;
    if (step == Parser::Step::message) message_done_ = true;
    std::string piece = message.take_collected();
    if (!piece.empty()) co_return piece;
    if (message_done_) break;
    parsed_ = have_ = stream_from_;
    continue_expected();
    const bool flushed = co_await flush();
    const auto deadline = std::min(Clock::now() + server_->limits().body_timeout,
                                   std::min(until, exchange_.context.deadline));
    bool read = false;
    // Who waits for a client is not at work: slow clients cannot use up what is for the others.
    server_->give_request();
    if (flushed) read = co_await read_more(Phase::reading_body, deadline);
    server_->resume_request();
    if (read) continue;
    must_close_ = true;
    body_refusal_ = body_too_slow;
    throw BodyCutShort{"the client stopped sending its body"};
  }
  co_return std::string{};
}

Task<> Connection::discard_body() {
  const Message& message = parser_.message();
  const bool worthwhile =
      !must_close_ && message.header("expect").empty() && message.length() <= discard_max;
  if (!worthwhile) {
    must_close_ = true;
    co_return;
  }
  parser_.expect_body(discard_max, false);
  const auto until = Clock::now() + discard_for;
  bool more = true;
  while (more) {
    std::size_t used = 0;
    const auto step = parser_.feed(base(), parsed_ - start_, have_ - start_, used);
    parsed_ = start_ + used;
    parser_.message().take_collected();
    if (step == Parser::Step::message) co_return;
    if (step == Parser::Step::bad) break;
    parsed_ = have_ = stream_from_;
    make_room(1);
    more = co_await read_more(Phase::reading_body, until);
  }
  must_close_ = true;
}

bool Connection::keeps_alive() const {
  return !must_close_ && !server_->draining() && parser_.message().keep_alive();
}

void Connection::next_message() {
  parser_.begin_next();
  start_ = parsed_;
  if (parsed_ < have_) head_deadline_ = Clock::now() + server_->limits().head_timeout;
}

}  // namespace stoa::http::detail
