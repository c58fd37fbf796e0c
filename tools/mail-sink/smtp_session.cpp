#include "tools/mail-sink/smtp_session.hpp"

#include <algorithm>
#include <format>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "servicekit/async/loops.hpp"
#include "servicekit/core/ascii.hpp"

namespace stoa::mail {
namespace {

using Tcp = boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, Executor>;
constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>{});
constexpr std::size_t read_size = 16 * 1024;

/// The address of "FROM:<a@b> SIZE=…"; empty optional when there are no angle brackets.
std::optional<std::string> path_of(std::string_view argument) {
  const auto open = argument.find('<');
  const auto close = argument.find('>', open);
  if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
  return lower_case(argument.substr(open + 1, close - open - 1));
}

}  // namespace

struct SmtpServer::State {
  State(boost::asio::io_context& io, Mailbox& box, SmtpLimits bounds)
      : loop{io}, acceptor{io.get_executor()}, mailbox{box}, limits{bounds} {}

  boost::asio::io_context& loop;
  Acceptor acceptor;
  Mailbox& mailbox;
  SmtpLimits limits;
  std::vector<Socket*> sockets;
  bool stopped = false;
};

namespace {

/// One client. Commands are answered in order; answers to pipelined commands leave in one write.
class Session {
 public:
  Session(Socket& socket, Mailbox& mailbox, const SmtpLimits& limits)
      : socket_{socket}, mailbox_{mailbox}, limits_{limits} {}

  Task<> talk() {
    say("220 mail-sink ESMTP");
    while (!over_) {
      const auto line = co_await next_line();
      if (!line) co_return;
      if (starts_ignoring_case(*line, "data")) {
        co_await take_message();
      } else {
        obey(*line);
      }
    }
    co_await flush();
  }

 private:
  void say(std::string_view answer) {
    out_ += answer;
    out_ += "\r\n";
  }

  Task<bool> flush() {
    if (out_.empty()) co_return true;
    const std::string answers = std::exchange(out_, {});
    const auto [error, count] = co_await boost::asio::async_write(
        socket_, boost::asio::buffer(answers),
        boost::asio::cancel_after(limits_.idle_timeout, as_result));
    co_return !error;
  }

  /// Reads more; what was answered so far goes out first.
  Task<bool> fill() {
    const bool flushed = co_await flush();
    if (!flushed) co_return false;
    in_.erase(0, at_);
    at_ = 0;
    const std::size_t have = in_.size();
    in_.resize(have + read_size);
    const auto [error, count] = co_await socket_.async_read_some(
        boost::asio::buffer(in_.data() + have, read_size),
        boost::asio::cancel_after(limits_.idle_timeout, as_result));
    in_.resize(have + count);
    co_return !error;
  }

  Task<std::optional<std::string>> next_line() {
    while (true) {
      const auto end = in_.find("\r\n", at_);
      if (end != std::string::npos) {
        std::string line = in_.substr(at_, end - at_);
        at_ = end + 2;
        co_return line;
      }
      if (in_.size() - at_ > limits_.line_bytes_max) {
        say("500 5.5.2 line too long");
        co_await flush();
        co_return std::nullopt;
      }
      const bool more = co_await fill();
      if (!more) co_return std::nullopt;
    }
  }

  void obey(std::string_view line) {
    if (starts_ignoring_case(line, "ehlo")) {
      greet();
    } else if (starts_ignoring_case(line, "helo")) {
      say("250 mail-sink");
    } else if (starts_ignoring_case(line, "mail from:")) {
      begin_mail(line);
    } else if (starts_ignoring_case(line, "rcpt to:")) {
      add_recipient(line);
    } else if (starts_ignoring_case(line, "rset")) {
      reset();
      say("250 2.0.0 ok");
    } else if (starts_ignoring_case(line, "noop")) {
      say("250 2.0.0 ok");
    } else if (starts_ignoring_case(line, "auth")) {
      say("235 2.7.0 accepted");
    } else if (starts_ignoring_case(line, "quit")) {
      say("221 2.0.0 bye");
      over_ = true;
    } else {
      say("502 5.5.1 not known here");
      over_ = ++mistakes_ > 20;
    }
  }

  void greet() {
    say("250-mail-sink");
    say("250-PIPELINING");
    say("250-8BITMIME");
    say("250-AUTH PLAIN LOGIN");
    say(std::format("250 SIZE {}", limits_.message_bytes_max));
  }

  void begin_mail(std::string_view line) {
    const auto from = path_of(line);
    if (!from) {
      say("501 5.5.4 MAIL FROM:<address>");
      return;
    }
    reset();
    from_ = *from;
    say("250 2.1.0 ok");
  }

  void add_recipient(std::string_view line) {
    const auto to = path_of(line);
    if (!from_) {
      say("503 5.5.1 MAIL first");
    } else if (!to || to->empty()) {
      say("501 5.5.4 RCPT TO:<address>");
    } else if (to_.size() >= limits_.recipients_max) {
      say("452 4.5.3 too many recipients");
    } else {
      to_.push_back(*to);
      say("250 2.1.5 ok");
    }
  }

  void reset() {
    from_.reset();
    to_.clear();
  }

  Task<> take_message() {
    if (!from_ || to_.empty()) {
      say("503 5.5.1 MAIL and RCPT first");
      co_return;
    }
    say("354 go on");
    std::string raw;
    while (true) {
      const auto line = co_await next_line();
      if (!line) {
        over_ = true;
        co_return;
      }
      if (*line == ".") break;
      // A leading dot was doubled by the sender (RFC 5321 section 4.5.2).
      const std::string_view text =
          line->starts_with('.') ? std::string_view{*line}.substr(1) : *line;
      if (raw.size() + text.size() <= limits_.message_bytes_max) {
        raw += text;
        raw += "\r\n";
      } else {
        too_large_ = true;
      }
    }
    co_await accept(std::move(raw));
  }

  Task<> accept(std::string raw) {
    if (mailbox_.faults.delay.count() > 0) co_await sleep_for(mailbox_.faults.delay);
    if (std::exchange(too_large_, false)) {
      say("552 5.3.4 too large");
    } else if (mailbox_.faults.refuse_next > 0) {
      --mailbox_.faults.refuse_next;
      say("451 4.3.0 try again");
    } else {
      const auto now =
          std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
      mailbox_.add({.from = *from_, .to = to_, .received_at = now, .raw = std::move(raw)});
      say("250 2.0.0 taken");
    }
    reset();
  }

  Socket& socket_;
  Mailbox& mailbox_;
  const SmtpLimits& limits_;
  std::string in_;
  std::size_t at_ = 0;
  std::string out_;
  std::optional<std::string> from_;
  std::vector<std::string> to_;
  bool too_large_ = false;
  bool over_ = false;
  int mistakes_ = 0;
};

}  // namespace

namespace {

template <class State>
Task<> serve_client(std::shared_ptr<State> state, Socket socket) {
  state->sockets.push_back(&socket);
  Session session{socket, state->mailbox, state->limits};
  co_await session.talk();
  std::erase(state->sockets, &socket);
}

template <class State>
Task<> accept_clients(std::shared_ptr<State> state) {
  while (!state->stopped) {
    auto [error, socket] = co_await state->acceptor.async_accept(as_result);
    if (error) {
      if (!state->stopped) co_await sleep_for(std::chrono::milliseconds{10});
      continue;
    }
    if (state->sockets.size() >= state->limits.sessions_max) continue;
    boost::system::error_code ignored;
    socket.set_option(Tcp::no_delay{true}, ignored);
    spawn(state->loop, "smtp session", serve_client(state, Socket{std::move(socket)}));
  }
}

}  // namespace

SmtpServer::SmtpServer(boost::asio::io_context& loop, const std::string& address,
                       std::uint16_t port, Mailbox& mailbox, SmtpLimits limits)
    : state_{std::make_shared<State>(loop, mailbox, limits)} {
  const Tcp::endpoint endpoint{boost::asio::ip::make_address(address), port};
  state_->acceptor.open(endpoint.protocol());
  state_->acceptor.set_option(boost::asio::socket_base::reuse_address{true});
  state_->acceptor.bind(endpoint);
  state_->acceptor.listen();
  spawn(loop, "smtp accept", accept_clients(state_));
}

SmtpServer::~SmtpServer() = default;

std::uint16_t SmtpServer::port() const { return state_->acceptor.local_endpoint().port(); }

void SmtpServer::stop() {
  state_->stopped = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  for (Socket* socket : state_->sockets) socket->shutdown(Tcp::socket::shutdown_both, ignored);
}

}  // namespace stoa::mail
