#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <utility>

#include "servicekit/core/unavailable.hpp"
#include "servicekit/http/client.hpp"
#include "servicekit/http/detail/loop_client.hpp"
#include "servicekit/http/detail/render.hpp"

// One request and its answer on one connection of the client.
namespace stoa::http::detail {
namespace {

constexpr std::size_t stream_from = 64 * 1024;       // bytes; a larger answer may be streamed
constexpr std::size_t answer_head_max = 256 * 1024;  // bytes up to the final answer's body
constexpr int interim_max = 8;
constexpr int switching_protocols = 101;
constexpr int first_final_status = 200;

bool line_safe(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c != '\x7f'; });
}

void append_context(std::string& out, const LoopClient::Call& call) {
  const Context& context = call.context;
  if (context.trace.valid()) {
    out.append("traceparent: ").append(context.trace.traceparent()).append("\r\n");
  }
  if (context.request_id) {
    out.append("x-request-id: ").append(*context.request_id).append("\r\n");
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::min(call.deadline, context.deadline) - Clock::now());
  out += "x-deadline-ms: ";
  append_number(out, static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0)));
  out += "\r\n";
}

void append_request_head(std::string& out, const LoopClient::Call& call, const std::string& host) {
  const ClientRequest& request = call.request;
  // A target made from input must not be able to add a header.
  if (!request.target.starts_with('/') || !line_safe(request.target)) {
    throw std::invalid_argument{"a request's target is a path without white space"};
  }
  out.append(name(request.method)).append(" ").append(request.target).append(" HTTP/1.1\r\nhost: ");
  out.append(host).append("\r\n").append(request.headers);
  append_context(out, call);
  const bool has_body = request.upload || !request.body.empty();
  if (has_body && !request.content_type.empty()) {
    out.append("content-type: ").append(request.content_type).append("\r\n");
  }
  const bool bodiless_method = request.method == Method::get || request.method == Method::head ||
                               request.method == Method::del || request.method == Method::options;
  if (request.upload && !request.upload_length) {
    out += "transfer-encoding: chunked\r\n";
  } else if (has_body || !bodiless_method) {
    out += "content-length: ";
    append_number(out, request.upload_length.value_or(request.body.size()));
    out += "\r\n";
  }
  out += "\r\n";
}

// Reads from the connection into its buffer, whose former content is used up.
Task<bool> read_some(ClientConnection* connection) {
  if (connection->parsed == connection->have) connection->parsed = connection->have = 0;
  if (connection->have == connection->buffer.size()) {
    connection->buffer.resize(connection->buffer.size() * 2);
  }
  const auto room = boost::asio::buffer(connection->buffer.data() + connection->have,
                                        connection->buffer.size() - connection->have);
  const auto [error, count] = co_await connection->socket.async_read_some(room, as_result);
  connection->have += count;
  co_return !error;
}

std::string kept_headers(const Message& message, std::size_t head_bytes) {
  std::string headers;
  headers.reserve(head_bytes);
  message.each_header([&](std::string_view name, std::string_view value) {
    if (is_hop_by_hop(name)) return;
    headers.append(name).append(": ").append(value).append("\r\n");
  });
  return headers;
}

bool reusable(const ClientConnection& connection) {
  return connection.parser.message().keep_alive() && connection.parsed == connection.have &&
         !connection.timed_out;
}

// The rest of a large answer, read as it is asked for.
class AnswerStream final : public BodySource {
 public:
  struct Limits {
    Clock::time_point deadline;
    std::chrono::milliseconds timeout;  ///< of each piece
    bool is_sent_whole;                 ///< of the request: or the connection is of no more use
  };
  AnswerStream(Lease lease, std::string first, Limits limits)
      : lease_{std::move(lease)}, first_{std::move(first)}, limits_{limits} {
    // The reader sets the pace from here on.
    lease_->deadline = Clock::time_point::max();
  }

  Task<std::string> next() override {
    if (!first_.empty()) co_return std::exchange(first_, {});
    while (!done_) {
      ClientConnection& connection = *lease_;
      std::size_t used = 0;
      const auto step = connection.parser.feed(connection.buffer.data(), connection.parsed,
                                               connection.have, used);
      if (step == Parser::Step::bad) throw Unavailable{"the answer's body is malformed"};
      connection.parsed = used;
      done_ = step == Parser::Step::message;
      std::string piece = connection.parser.message().take_collected();
      if (done_ && limits_.is_sent_whole && reusable(connection)) lease_.give_back();
      if (!piece.empty() || done_) co_return piece;
      connection.deadline = std::min(limits_.deadline, Clock::now() + limits_.timeout);
      const bool read = co_await read_some(&connection);
      connection.deadline = Clock::time_point::max();
      if (read) continue;
      if (connection.timed_out || !connection.parser.finish()) {
        throw Unavailable{"the answer was cut short"};
      }
      done_ = true;
    }
    co_return std::string{};
  }

 private:
  Lease lease_;
  std::string first_;
  Limits limits_;
  bool done_ = false;
};

struct Conversation {
  Lease lease;
  LoopClient::Call* call;
  const ClientConfig* config;
  Attempt attempt{};
  ClientResponse response{};
  bool is_sent_whole = true;  ///< or the callee may still read a body from this connection
};

Task<ErrorCode> send_upload(Conversation* talk) {
  ClientConnection& connection = *talk->lease;
  const ClientRequest& request = talk->call->request;
  const bool chunked = !request.upload_length;
  std::uint64_t total = 0;
  std::size_t sent = 0;
  while (true) {
    // The source has deadlines of its own; the callee is not to blame for a slow one.
    connection.deadline = Clock::time_point::max();
    std::string piece = co_await request.upload->next();
    connection.deadline =
        std::min(talk->call->context.deadline, Clock::now() + talk->config->timeout);
    total += piece.size();
    if (total > request.upload_length.value_or(std::numeric_limits<std::uint64_t>::max())) {
      throw Unavailable{"the upload is longer than was said"};
    }
    std::string frame;
    const bool end = piece.empty();
    if (chunked) {
      std::array<char, 20> size{};
      const int length = std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
      frame.assign(size.data(), static_cast<std::size_t>(length));
      piece += "\r\n";
    }
    const ErrorCode error = co_await send_all(&connection.socket, frame, piece, &sent);
    if (end && total < request.upload_length.value_or(total)) {
      throw Unavailable{"the upload is shorter than was said"};
    }
    // An answer before the end is a refusal: the rest would not be read.
    if (error || end || has_news(connection.socket)) {
      talk->is_sent_whole = !error && end;
      co_return error;
    }
  }
}

// Reads up to the head of the final answer, over interim ones.
Task<bool> read_answer_head(Conversation* talk) {
  ClientConnection& connection = *talk->lease;
  Parser& parser = connection.parser;
  int interim = 0;
  while (true) {
    if (connection.parsed < connection.have) {
      talk->attempt.received = true;
      std::size_t used = 0;
      const auto step =
          parser.feed(connection.buffer.data(), connection.parsed, connection.have, used);
      const bool is_endless = interim > interim_max || connection.have > answer_head_max;
      if (step == Parser::Step::bad || is_endless ||
          parser.message().status() == switching_protocols) {
        talk->attempt.failure = "the answer is malformed";
        co_return false;
      }
      if (step == Parser::Step::head) {
        connection.parsed = used;
        if (parser.message().status() >= first_final_status) co_return true;
        parser.expect_body(0, false);
        parser.feed(connection.buffer.data(), connection.parsed, connection.have, used);
        connection.parsed = used;
        parser.begin_next();
        ++interim;
        if (talk->call->request.method == Method::head) parser.skip_body();
        continue;
      }
      connection.parsed = used;
    }
    // The head stays in the buffer until it is whole: its views are offsets from the front.
    if (connection.have == connection.buffer.size()) {
      connection.buffer.resize(connection.buffer.size() * 2);
    }
    const auto room = boost::asio::buffer(connection.buffer.data() + connection.have,
                                          connection.buffer.size() - connection.have);
    const auto [error, count] = co_await connection.socket.async_read_some(room, as_result);
    connection.have += count;
    if (!error) continue;
    talk->attempt.failure = connection.timed_out ? "the deadline has passed" : error.message();
    co_return false;
  }
}

Task<bool> read_answer_body(Conversation* talk) {
  ClientConnection& connection = *talk->lease;
  Parser& parser = connection.parser;
  const bool streams = talk->call->may_stream;
  const std::size_t body_max = talk->config->response_bytes_max;
  parser.expect_body(streams ? std::numeric_limits<std::size_t>::max() : body_max, false);
  while (true) {
    std::size_t used = 0;
    const auto step =
        parser.feed(connection.buffer.data(), connection.parsed, connection.have, used);
    if (step == Parser::Step::bad) {
      talk->attempt.failure =
          parser.refusal().status == 413 ? "the answer is too large" : "the answer is malformed";
      co_return false;
    }
    connection.parsed = used;
    if (step == Parser::Step::message) break;
    if (streams && parser.message().body().size() >= stream_from) co_return true;
    const bool read = co_await read_some(&connection);
    if (read) continue;
    if (!connection.timed_out && parser.finish()) break;
    talk->attempt.failure =
        connection.timed_out ? "the deadline has passed" : "the answer was cut short";
    co_return false;
  }
  talk->response.body = parser.message().take_collected();
  const bool keep = reusable(connection) && talk->is_sent_whole;
  parser.begin_next();
  if (keep) {
    connection.parsed = connection.have = 0;
    talk->lease.give_back();
  }
  co_return true;
}

}  // namespace

Task<Attempt> run_call(Lease lease, LoopClient::Call* call, const ClientConfig* config) {
  Conversation talk{.lease = std::move(lease), .call = call, .config = config};
  ClientConnection& connection = *talk.lease;
  talk.attempt.reused = connection.reused;
  connection.timed_out = false;
  connection.deadline = call->deadline;
  connection.parsed = connection.have = 0;
  connection.parser.begin_next();
  if (call->request.method == Method::head) connection.parser.skip_body();
  connection.out.clear();
  append_request_head(connection.out, *call, config->name);
  std::size_t sent = 0;
  ErrorCode error =
      co_await send_all(&connection.socket, connection.out, call->request.body, &sent);
  talk.attempt.sent = sent > 0;
  talk.is_sent_whole = !error;
  if (!error && call->request.upload) {
    error = co_await send_upload(&talk);
    connection.deadline = std::min(call->context.deadline, Clock::now() + config->timeout);
  }
  // A refused upload ends in a failed write and an answer that explains it.
  if (error && !talk.attempt.sent) {
    talk.attempt.failure = error.message();
    co_return std::move(talk.attempt);
  }
  bool whole = co_await read_answer_head(&talk);
  if (whole) {
    const Message& message = connection.parser.message();
    talk.response.status = message.status();
    talk.response.headers = kept_headers(message, connection.parsed);
    talk.response.stream_length =
        message.has_length() ? std::optional{message.length()} : std::nullopt;
    whole = co_await read_answer_body(&talk);
  }
  if (!whole) co_return std::move(talk.attempt);
  if (talk.lease && connection.parser.head_complete()) {
    std::string first = connection.parser.message().take_collected();
    const AnswerStream::Limits limits{.deadline = call->context.deadline,
                                      .timeout = config->timeout,
                                      .is_sent_whole = talk.is_sent_whole};
    talk.response.stream =
        std::make_shared<AnswerStream>(std::move(talk.lease), std::move(first), limits);
  }
  talk.attempt.response = std::move(talk.response);
  co_return std::move(talk.attempt);
}

}  // namespace stoa::http::detail
