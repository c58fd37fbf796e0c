#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <llhttp.h>

namespace stoa::http::detail {

/// One parsed message. Header views are offsets into the connection's buffer, so that moving or
/// growing it between two feeds is harmless.
class Message {
 public:
  std::string_view target() const { return view(target_); }
  std::string_view body() const { return collected_.empty() ? view(body_) : collected_; }
  std::string take_collected() { return std::exchange(collected_, {}); }
  llhttp_method_t method() const { return method_; }
  int status() const { return status_; }
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }
  bool chunked() const { return chunked_; }
  bool has_length() const { return has_length_; }
  /// Of the body; meaningful with has_length().
  std::uint64_t length() const { return length_; }
  /// Whether body bytes follow the head.
  bool announces_body() const { return chunked_ || (has_length_ && length_ > 0); }

  /// The value of the first header of that name, "" when absent.
  std::string_view header(std::string_view name) const;
  std::size_t count(std::string_view name) const;

  template <class Visit>
  void each_header(Visit&& visit) const {
    for (const auto& [name, value] : headers_) visit(view(name), value_of(value));
  }

 private:
  friend class Parser;
  struct Span {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };

  std::string_view view(Span span) const { return {base_ + span.offset, span.length}; }
  std::string_view value_of(Span span) const;

  const char* base_ = nullptr;
  Span target_;
  Span body_;
  std::vector<std::pair<Span, Span>> headers_;
  std::string collected_;
  llhttp_method_t method_ = HTTP_GET;
  int status_ = 0;
  std::uint64_t length_ = 0;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool chunked_ = false;
  bool has_length_ = false;
};

struct ParserLimits {
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t header_count_max = 64;
  std::size_t target_bytes_max = 8 * 1024;
};

/// Why a message cannot be taken: what its sender is told.
struct Refusal {
  int status = 400;
  std::string_view code = "malformed_request";
  std::string_view detail = "the request is not well-formed HTTP/1.1";
};

/// HTTP/1.1 framing (RFC 9112), strict: llhttp without a lenient flag, and the checks that it
/// leaves to its user. A parser reads one connection from its first byte to its last.
class Parser {
 public:
  enum class Kind : std::uint8_t { request, response };
  enum class Step : std::uint8_t {
    need_more,  ///< all bytes are used
    head,       ///< the head is complete; its body follows with the next feed
    message,    ///< the message is complete
    bad,        ///< refusal() says why; the connection is lost
  };

  Parser(Kind kind, ParserLimits limits);
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  /// Parses [from, to) of the bytes at `base`, where the message begins. `used` becomes the end of
  /// what was parsed.
  Step feed(const char* base, std::size_t from, std::size_t to, std::size_t& used);

  /// The bytes of the message have moved.
  void rebase(const char* base) { message_.base_ = base; }

  /// The peer has closed: whether that ends the message properly (a response without a length).
  bool finish();

  /// Between a head and its body. In place: body() is a view of the buffer, which must hold all of
  /// it. A chunked body is always collected.
  void expect_body(std::size_t body_max, bool in_place);
  /// The message has no body whatever its head says (the answer to HEAD).
  void skip_body() { skip_body_ = true; }

  /// Forgets the message before the first byte of the next.
  void begin_next();

  /// Whether a byte of the current message has been seen.
  bool started() const { return started_; }
  bool head_complete() const { return head_complete_; }
  Message& message() { return message_; }
  const Message& message() const { return message_; }
  const Refusal& refusal() const { return refusal_; }

 private:
  static const llhttp_settings_t& settings();
  static Parser& self(llhttp_t* parser) { return *static_cast<Parser*>(parser->data); }
  int on_url(const char* at, std::size_t length);
  int on_field(const char* at, std::size_t length);
  int on_value(const char* at, std::size_t length);
  int on_head();
  int on_body(const char* at, std::size_t length);
  int check_request();
  int count_bytes(std::size_t length);
  int refuse(Refusal refusal);
  void extend(Message::Span& span, const char* at, std::size_t length) const;

  llhttp_t parser_{};
  ParserLimits limits_;
  Kind kind_;
  Message message_;
  Refusal refusal_;
  std::size_t head_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t body_max_ = 0;
  bool started_ = false;
  bool head_complete_ = false;
  bool message_complete_ = false;
  bool fresh_field_ = true;
  bool skip_body_ = false;
  bool in_place_ = false;
};

}  // namespace stoa::http::detail
