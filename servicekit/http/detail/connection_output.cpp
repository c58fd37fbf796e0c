#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "servicekit/http/detail/connection.hpp"
#include "servicekit/http/detail/loop_server.hpp"
#include "servicekit/http/detail/render.hpp"

// The half of a connection that writes.
namespace stoa::http::detail {
namespace {

constexpr std::size_t gather_max = 64 * 1024;   // answers gathered before a write
constexpr std::size_t small_body = 16 * 1024;   // copied behind its head, larger ones are not
constexpr std::size_t linger_max = 256 * 1024;  // read and dropped after the last answer
constexpr std::chrono::milliseconds linger_for{1'000};

}  // namespace

bool Connection::flushed_at_once() {
  if (out_.empty()) return true;
  ErrorCode error;
  const std::size_t sent = send_now(socket_, out_, {}, error);
  answers_waiting_ = 0;
  out_.erase(0, sent);
  return out_.empty();
}

Task<bool> Connection::flush(std::string_view extra) {
  if (out_.empty() && extra.empty()) co_return true;
  answers_waiting_ = 0;
  phase_ = Phase::writing;
  deadline_ = Clock::now() + server_->limits().write_timeout;
  ErrorCode error;
  std::size_t sent = send_now(socket_, out_, extra, error);
  if (!error && sent < out_.size() + extra.size()) {
    const std::size_t of_out = std::min(sent, out_.size());
    error = co_await send_all(&socket_, std::string_view{out_}.substr(of_out),
                              extra.substr(sent - of_out), &sent);
  }
  phase_ = Phase::handling;
  if (out_.capacity() > 2 * gather_max) out_.shrink_to_fit();
  out_.clear();
  co_return !error;
}

Task<> Connection::write_response(Response response) {
  if (!keeps_alive()) must_close_ = true;
  if (response.stream) {
    co_await write_stream(std::move(response));
    co_return;
  }
  const Context& context = exchange_.context;
  if (response.problem_details) {
    complete_problem(response, exchange_.path(),
                     context.trace.valid() ? context.trace.trace_id_hex() : std::string{});
  }
  // A proxied answer to HEAD tells the length of a body that nobody has here.
  const bool is_head = exchange_.method == Method::head;
  const std::uint64_t length =
      is_head && response.stream_length ? *response.stream_length : response.body.size();
  append_head(out_, response,
              {.date = server_->date(),
               .request_id =
                   context.request_id ? std::string_view{*context.request_id} : std::string_view{},
               .keep_alive = !must_close_,
               .length = length});
  const bool with_body = !is_head && !response.body.empty();
  if (with_body && response.body.size() > small_body) {
    const bool flushed = co_await flush(response.body);
    if (!flushed) must_close_ = true;
    co_return;
  }
  if (with_body) out_ += response.body;
  const bool gathered =
      ++answers_waiting_ >= server_->limits().pipelined_max || out_.size() >= gather_max;
  if (gathered) {
    const bool flushed = co_await flush();
    if (!flushed) must_close_ = true;
  }
}

Task<> Connection::write_stream(Response response) {
  const bool chunked = !response.stream_length && !parser_.message().http_1_0();
  if (!response.stream_length && !chunked) must_close_ = true;
  append_head(out_, response,
              {.date = server_->date(),
               .request_id = *exchange_.context.request_id,
               .keep_alive = !must_close_,
               .chunked = chunked,
               .length = response.stream_length});
  if (exchange_.method == Method::head) co_return;
  const auto source = response.stream;
  std::uint64_t written = 0;
  bool complete = false;
  while (true) {
    std::string piece;
    try {
      piece = co_await source->next();
    } catch (const std::exception& error) {
      server_->shared().telemetry.warn(exchange_.context, "http_stream_broken",
                                       {{"detail", error.what()}});
      break;
    }
    complete = piece.empty();
    if (complete) break;
    written += piece.size();
    if (chunked) {
      std::array<char, 20> size{};
      const int length = std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
      out_.append(size.data(), static_cast<std::size_t>(length));
      piece += "\r\n";
    }
    const bool flushed = co_await flush(piece);
    if (!flushed) break;
  }
  if (complete && chunked) out_ += "0\r\n\r\n";
  // A body that ends early must not look whole: only the closed connection tells.
  if (!complete || written != response.stream_length.value_or(written)) must_close_ = true;
}

Task<> Connection::write_refusal(Refusal refusal) {
  server_->shared().refused.add();
  must_close_ = true;
  const Response response = problem_of(refusal);
  append_head(out_, response,
              {.date = server_->date(), .keep_alive = false, .length = response.body.size()});
  out_ += response.body;
  co_await flush();
  co_await linger();
}

Task<> Connection::linger() {
  // Closing with unread bytes would reset the connection and take the answer away from the client.
  ErrorCode ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  const auto until = Clock::now() + linger_for;
  std::size_t discarded = 0;
  bool more = true;
  while (more && discarded < linger_max) {
    start_ = parsed_ = have_ = 0;
    more = co_await read_more(Phase::reading_body, until);
    discarded += have_;
  }
}

}  // namespace stoa::http::detail
