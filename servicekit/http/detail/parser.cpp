#include "servicekit/http/detail/parser.hpp"

#include <algorithm>

#include "servicekit/core/ascii.hpp"

namespace stoa::http::detail {
namespace {

constexpr std::size_t usual_header_count = 24;

bool is_visible(char c) { return c > ' ' && c < '\x7f'; }

// Origin form only (RFC 9112 section 3.2.1), and the asterisk of OPTIONS: nobody uses us as a
// forward proxy, and an authority inside the target would be a second Host to disagree with.
bool good_target(std::string_view target, bool asterisk_allowed) {
  if (target == "*") return asterisk_allowed;
  return target.starts_with('/') &&
         std::ranges::all_of(target, [](char c) { return is_visible(c) && c != '#'; });
}

bool good_host(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return is_visible(c) && std::string_view{"/\\?#@,\"<>"}.find(c) == std::string_view::npos;
  });
}

}  // namespace

std::string_view Message::value_of(Span span) const {
  std::string_view value = view(span);
  // llhttp leaves the optional white space after a value (RFC 9112 section 5).
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

std::string_view Message::header(std::string_view name) const {
  for (const auto& [field, value] : headers_) {
    if (field.length == name.size() && equal_ignoring_case(view(field), name))
      return value_of(value);
  }
  return {};
}

std::size_t Message::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      headers_, [&](const auto& header) { return equal_ignoring_case(view(header.first), name); }));
}

Parser::Parser(Kind kind, ParserLimits limits) : limits_{limits}, kind_{kind} {
  llhttp_init(&parser_, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
  parser_.data = this;
  message_.headers_.reserve(usual_header_count);
}

const llhttp_settings_t& Parser::settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_url = [](llhttp_t* p, const char* at, std::size_t n) { return self(p).on_url(at, n); };
    made.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
      return self(p).on_field(at, n);
    };
    made.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
      return self(p).on_value(at, n);
    };
    made.on_header_value_complete = [](llhttp_t* p) {
      self(p).fresh_field_ = true;
      return 0;
    };
    made.on_chunk_extension_name = [](llhttp_t* p, const char*, std::size_t n) {
      return self(p).count_bytes(n);
    };
    made.on_chunk_extension_value = made.on_chunk_extension_name;
    made.on_headers_complete = [](llhttp_t* p) { return self(p).on_head(); };
    made.on_body = [](llhttp_t* p, const char* at, std::size_t n) {
      return self(p).on_body(at, n);
    };
    made.on_message_complete = [](llhttp_t* p) {
      self(p).message_complete_ = true;
      return static_cast<int>(HPE_PAUSED);
    };
    return made;
  }();
  return settings;
}

Parser::Step Parser::feed(const char* base, std::size_t from, std::size_t to, std::size_t& used) {
  message_.base_ = base;
  if (to > from) started_ = true;
  const bool had_head = head_complete_;
  const llhttp_errno_t error = llhttp_execute(&parser_, base + from, to - from);
  if (error == HPE_OK) {
    used = to;
    return Step::need_more;
  }
  if (error != HPE_PAUSED) return Step::bad;
  used = static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - base);
  llhttp_resume(&parser_);
  if (message_complete_) return Step::message;
  return had_head ? Step::need_more : Step::head;
}

bool Parser::finish() { return llhttp_finish(&parser_) == HPE_OK || message_complete_; }

void Parser::expect_body(std::size_t body_max, bool in_place) {
  body_max_ = body_max;
  in_place_ = in_place && !message_.chunked_;
}

void Parser::begin_next() {
  message_.target_ = {};
  message_.body_ = {};
  message_.headers_.clear();
  message_.collected_.clear();
  refusal_ = {};
  head_bytes_ = 0;
  body_bytes_ = 0;
  body_max_ = 0;
  started_ = false;
  head_complete_ = false;
  message_complete_ = false;
  fresh_field_ = true;
  skip_body_ = false;
}

void Parser::extend(Message::Span& span, const char* at, std::size_t length) const {
  if (span.length == 0) span.offset = static_cast<std::uint32_t>(at - message_.base_);
  span.length += static_cast<std::uint32_t>(length);
}

int Parser::refuse(Refusal refusal) {
  refusal_ = refusal;
  return -1;
}

int Parser::count_bytes(std::size_t length) {
  head_bytes_ += length;
  if (head_bytes_ <= limits_.header_bytes_max) return 0;
  return refuse({431, "headers_too_large", "the header section is too large"});
}

int Parser::on_url(const char* at, std::size_t length) {
  // llhttp skips any number of spaces here; the grammar has one (RFC 9112 section 3).
  if (message_.target_.length == 0 && at - message_.base_ >= 2 && *(at - 2) == ' ') {
    return refuse({400, "malformed_request", "one space stands before the request target"});
  }
  extend(message_.target_, at, length);
  if (message_.target_.length <= limits_.target_bytes_max) return 0;
  return refuse({414, "target_too_long", "the request target is too long"});
}

int Parser::on_field(const char* at, std::size_t length) {
  // Trailers are counted and dropped: nothing we offer uses one.
  if (head_complete_) return count_bytes(length);
  if (fresh_field_) {
    if (message_.headers_.size() >= limits_.header_count_max) {
      return refuse({431, "headers_too_large", "there are too many headers"});
    }
    message_.headers_.emplace_back();
    fresh_field_ = false;
  }
  extend(message_.headers_.back().first, at, length);
  return count_bytes(length);
}

int Parser::on_value(const char* at, std::size_t length) {
  if (!head_complete_) extend(message_.headers_.back().second, at, length);
  return count_bytes(length);
}

int Parser::on_head() {
  head_complete_ = true;
  const bool known_version = parser_.http_major == 1 && parser_.http_minor <= 1;
  if (!known_version) return refuse({400, "malformed_request", "HTTP/1.0 and 1.1 are spoken here"});
  message_.method_ = static_cast<llhttp_method_t>(parser_.method);
  message_.status_ = parser_.status_code;
  message_.http_1_0_ = parser_.http_minor == 0;
  message_.chunked_ = (parser_.flags & F_CHUNKED) != 0;
  message_.has_length_ = (parser_.flags & F_CONTENT_LENGTH) != 0;
  message_.length_ = message_.has_length_ ? parser_.content_length : 0;
  message_.keep_alive_ = llhttp_should_keep_alive(&parser_) != 0;
  // `Upgrade` is an offer that a server may ignore; left alone, llhttp would stop parsing here.
  parser_.upgrade = 0;
  if (skip_body_) parser_.flags |= F_SKIPBODY;
  const std::size_t codings = message_.count("transfer-encoding");
  const bool framed =
      codings == 0 || (codings == 1 && !message_.http_1_0_ && message_.chunked_ &&
                       equal_ignoring_case(message_.header("transfer-encoding"), "chunked"));
  if (!framed) return refuse({400, "malformed_request", "this transfer coding is not taken"});
  if (kind_ == Kind::request && check_request() != 0) return -1;
  return static_cast<int>(HPE_PAUSED);
}

int Parser::check_request() {
  const std::size_t hosts = message_.count("host");
  if (hosts > 1 || (hosts == 0 && !message_.http_1_0_)) {
    return refuse({400, "malformed_request", "a request has exactly one Host"});
  }
  if (hosts == 1 && !good_host(message_.header("host"))) {
    return refuse({400, "malformed_request", "the Host is not one"});
  }
  if (!good_target(message_.target(), message_.method_ == HTTP_OPTIONS)) {
    return refuse({400, "malformed_request", "the request target is not a path"});
  }
  return 0;
}

int Parser::on_body(const char* at, std::size_t length) {
  body_bytes_ += length;
  if (body_bytes_ > body_max_) return refuse({413, "body_too_large", "the body is too large"});
  if (in_place_) {
    extend(message_.body_, at, length);
  } else {
    message_.collected_.append(at, length);
  }
  return 0;
}

}  // namespace stoa::http::detail
