#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/intrusive/list.hpp>

#include "servicekit/http/detail/exchange.hpp"
#include "servicekit/http/detail/socket.hpp"

namespace stoa::http::detail {

class LoopServer;

using ListHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// One client connection: reads, frames, answers in order. All of it runs on one loop; the loop's
/// sweep is the only other code that touches it, between two of its suspensions.
class Connection final : public BodyStream, public ListHook {
 public:
  Connection(std::shared_ptr<LoopServer> server, Socket socket, std::string peer);
  ~Connection() override;

  /// Serves until the connection ends. Owns itself through `self`.
  static Task<> run(std::shared_ptr<Connection> self);

  /// Ends what has passed its deadline: a wait for a head with 408, anything else silently.
  void sweep(Clock::time_point now);
  /// Draining: an idle connection ends now.
  void close_if_idle();
  void abort();

  Task<std::string> next_piece(Clock::time_point until) override;

 private:
  enum class Phase : std::uint8_t { idle, reading_head, reading_body, handling, writing };
  /// What became of reading on: false ends the connection.
  enum class Outcome : std::uint8_t { go_on, end };

  Task<Outcome> read_head();
  Task<Outcome> await_head();
  Task<Outcome> serve_request();
  Task<std::optional<Response>> make_response();
  Task<std::optional<Response>> read_body();
  /// Parses what is there; true when the body is complete or refused.
  bool feed_body(std::optional<Response>& refused);
  /// Takes what the client still sends, when that is cheaper than a new connection.
  Task<> discard_body();
  Task<bool> read_more(Phase phase, Clock::time_point deadline);
  bool flushed_at_once();
  Task<bool> flush(std::string_view extra = {});
  Task<> write_response(Response response);
  Task<> write_stream(Response response);
  Task<> write_refusal(Refusal refusal);
  Task<> linger();
  void continue_expected();
  bool keeps_alive() const;
  void make_room(std::size_t wanted);
  void next_message();
  char* base() { return buffer_.data() + start_; }

  std::shared_ptr<LoopServer> server_;
  Socket socket_;
  std::string peer_;
  bool peer_trusted_;
  Parser parser_;
  Exchange exchange_;
  // [start_, parsed_) is the current message as far as it is parsed, [parsed_, have_) is unread.
  std::string buffer_;
  std::size_t start_ = 0;
  std::size_t parsed_ = 0;
  std::size_t have_ = 0;
  std::size_t stream_from_ = 0;          ///< streamed bodies are read into the room behind the head
  std::optional<Refusal> body_refusal_;  ///< of a streamed body
  std::string out_;
  std::size_t answers_waiting_ = 0;
  Phase phase_ = Phase::idle;
  Clock::time_point deadline_;
  Clock::time_point head_deadline_;
  bool timed_out_ = false;
  bool message_done_ = false;
  bool must_close_ = false;
};

}  // namespace stoa::http::detail
