#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/http/detail/render.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::http {
namespace {

constexpr std::size_t usual_headers_bytes = 192;

bool header_safe(std::string_view text) {
  constexpr std::string_view forbidden{"\r\n\0", 3};
  return text.find_first_of(forbidden) == std::string_view::npos;
}

// The contract's title; of a code that it does not know, the code in words.
std::string title_of(std::string_view code) {
  const std::string_view known = detail::contract_title(code);
  if (!known.empty()) return std::string{known};
  std::string title{code};
  for (char& c : title) {
    if (c == '_') c = ' ';
  }
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z') {
    title[0] = static_cast<char>(title[0] - ('a' - 'A'));
  }
  return title;
}

void append_fields(std::string& out, const std::vector<FieldError>& fields) {
  out += R"(,"errors":[)";
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    out += R"({"pointer":)";
    json::append_quoted_lossy(out, fields[i].pointer);
    out += R"(,"code":)";
    json::append_quoted_lossy(out, fields[i].code);
    out += R"(,"detail":)";
    json::append_quoted_lossy(out, fields[i].detail);
    out += '}';
  }
  out += ']';
}

Response with_location(int status, std::string_view location, std::string json) {
  Response response{.status = status, .body = std::move(json)};
  response.add_header("location", location);
  return response;
}

}  // namespace

std::string_view name(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::del:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
  }
  std::unreachable();
}

Response& Response::add_header(std::string_view name, std::string_view value) {
  require(header_safe(name) && header_safe(value), "a header holds no CR, LF or NUL");
  // What one or two of an endpoint's own take, the limits of the gateway behind them.
  if (headers.empty()) headers.reserve(usual_headers_bytes);
  headers.append(name).append(": ").append(value).append("\r\n");
  return *this;
}

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::malformed:
      return 400;
    case ErrorKind::invalid:
      return 422;
    case ErrorKind::unauthenticated:
      return 401;
    case ErrorKind::payment_required:
      return 402;
    case ErrorKind::forbidden:
      return 403;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::precondition_failed:
      return 412;
    case ErrorKind::precondition_required:
      return 428;
    case ErrorKind::too_large:
      return 413;
    case ErrorKind::unsupported_media:
      return 415;
    case ErrorKind::too_many:
      return 429;
  }
  std::unreachable();
}

Response problem(const Error& error) {
  const bool retryable = error.retry_after.has_value() || error.kind == ErrorKind::too_many;
  Response response = detail::make_problem(status_of(error.kind), error.code, error.detail,
                                           retryable, error.fields);
  if (error.kind == ErrorKind::unauthenticated) {
    // RFC 6750 section 3: without a token the challenge names no error.
    response.add_header("www-authenticate", error.code == "token_missing"
                                                ? "Bearer"
                                                : "Bearer error=\"invalid_token\"");
  }
  if (retryable) {
    const auto after = error.retry_after.value_or(std::chrono::seconds{1});
    response.add_header("retry-after", std::to_string(after.count()));
  }
  return response;
}

Response unavailable_problem() {
  Response response = detail::make_problem(
      503, "unavailable", "the service cannot do this at the moment; try again", true);
  response.add_header("retry-after", "1");
  return response;
}

Response ok(std::string json) { return {.status = 200, .body = std::move(json)}; }

Response created(std::string_view location, std::string json) {
  return with_location(201, location, std::move(json));
}

Response accepted(std::string_view location, std::string json) {
  return with_location(202, location, std::move(json));
}

Response no_content() { return {.status = 204}; }

namespace detail {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

void append_number(std::string& out, std::uint64_t value) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  // Names of days and months are those of the C locale, which no service changes.
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text.data(), length};
}

void append_head(std::string& out, const Response& response, const HeadFacts& facts) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(response.status));
  out += ' ';
  out += reason(response.status);
  out += "\r\ndate: ";
  out += facts.date;
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) {
    const bool typed = facts.length.value_or(1) > 0 && !response.content_type.empty();
    if (typed) out.append("\r\ncontent-type: ").append(response.content_type);
    if (facts.length) {
      out += "\r\ncontent-length: ";
      append_number(out, *facts.length);
    } else if (facts.chunked) {
      out += "\r\ntransfer-encoding: chunked";
    }
  }
  if (!facts.request_id.empty()) out.append("\r\nx-request-id: ").append(facts.request_id);
  if (!facts.keep_alive) out += "\r\nconnection: close";
  out += "\r\n";
  out += response.headers;
  out += "\r\n";
}

Response make_problem(int status, std::string_view code, std::string_view detail, bool retryable,
                      const std::vector<FieldError>& fields) {
  std::string body = R"({"type":"/docs/problems/)";
  body.append(code).append(R"(","title":)");
  json::append_quoted_lossy(body, title_of(code));
  body += R"(,"status":)";
  append_number(body, static_cast<std::uint64_t>(status));
  body += R"(,"detail":)";
  json::append_quoted_lossy(body, detail);
  body += R"(,"code":)";
  json::append_quoted_lossy(body, code);
  if (!fields.empty()) append_fields(body, fields);
  body += retryable ? R"(,"retryable":true})" : R"(,"retryable":false})";
  Response response{.status = status, .body = std::move(body), .content_type = problem_type};
  response.problem_details = true;
  response.add_header("cache-control", "no-store");
  return response;
}

Response problem_of(const Refusal& refusal) {
  return make_problem(refusal.status, refusal.code, refusal.detail, false);
}

void complete_problem(Response& response, std::string_view path, std::string_view trace_id) {
  response.body.pop_back();
  if (!path.empty()) {
    response.body += R"(,"instance":)";
    json::append_quoted_lossy(response.body, path);
  }
  if (!trace_id.empty()) {
    response.body += R"(,"trace_id":)";
    json::append_quoted_lossy(response.body, trace_id);
  }
  response.body += '}';
}

}  // namespace detail
}  // namespace stoa::http
