#include <algorithm>
#include <charconv>
#include <utility>

#include "servicekit/core/encoding.hpp"
#include "servicekit/core/require.hpp"
#include "servicekit/http/detail/exchange.hpp"

namespace stoa::http {
namespace {

Error malformed(std::string_view code, std::string detail) {
  return {.kind = ErrorKind::malformed, .code = code, .detail = std::move(detail)};
}

// A query's form: '+' is a space (WHATWG URL, application/x-www-form-urlencoded).
std::optional<std::string> decode_form(std::string_view text) {
  std::string spaced{text};
  std::ranges::replace(spaced, '+', ' ');
  auto decoded = percent_decode(spaced);
  if (!decoded || !valid_utf8(*decoded) || decoded->contains('\0')) return std::nullopt;
  return decoded;
}

}  // namespace

bool Identity::may(std::string_view scope) const { return std::ranges::contains(scopes, scope); }

Method Request::method() const { return exchange_->method; }
std::string_view Request::target() const { return exchange_->message->target(); }
std::string_view Request::path() const { return exchange_->path(); }

std::string_view Request::query() const {
  const std::string_view target = exchange_->message->target();
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

std::string_view Request::header(std::string_view name) const {
  return exchange_->message->header(name);
}

void Request::each_header(
    const std::function<void(std::string_view, std::string_view)>& visit) const {
  exchange_->message->each_header(visit);
}

const std::string& Request::param(std::string_view name) const {
  const std::string* const value = exchange_->params.find(name);
  require(value != nullptr, "the route's path has this parameter");
  return *value;
}

std::string_view Request::body() const {
  return exchange_->route->options.streamed ? std::string_view{} : exchange_->message->body();
}

Task<std::string> Request::next_chunk(std::chrono::steady_clock::time_point until) const {
  require(exchange_->route->options.streamed, "next_chunk() belongs to a streamed route");
  return exchange_->stream->next_piece(until);
}

const Identity& Request::identity() const { return exchange_->identity; }
const std::string& Request::client_address() const { return exchange_->client_address; }
bool Request::behind_proxy() const { return exchange_->behind_proxy; }

Result<QueryString> QueryString::parse(const Request& request,
                                       std::vector<std::string_view> known_names) {
  QueryString parsed;
  std::string_view rest = request.query();
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = decode_form(pair.substr(0, equals));
    auto value = decode_form(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) {
      return std::unexpected(malformed("malformed_query", "the query has a bad escape"));
    }
    if (!std::ranges::contains(known_names, *name)) {
      return std::unexpected(malformed("unknown_parameter", "unknown parameter: " + *name));
    }
    if (parsed.text(*name)) {
      return std::unexpected(malformed("malformed_query", "parameter given twice: " + *name));
    }
    parsed.values_.emplace_back(std::move(*name), std::move(*value));
  }
  return parsed;
}

std::optional<std::string_view> QueryString::text(std::string_view name) const {
  const auto at = std::ranges::find(values_, name, &std::pair<std::string, std::string>::first);
  if (at == values_.end()) return std::nullopt;
  return at->second;
}

Result<std::optional<std::int64_t>> QueryString::number(std::string_view name, std::int64_t min,
                                                        std::int64_t max) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = value->data() + value->size();
  const auto read = std::from_chars(value->data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < min || number > max) {
    return std::unexpected(malformed("bad_parameter", std::string{name} + " is a number from " +
                                                          std::to_string(min) + " to " +
                                                          std::to_string(max)));
  }
  return number;
}

Result<std::optional<bool>> QueryString::flag(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  if (*value == "true") return true;
  if (*value == "false") return false;
  return std::unexpected(malformed("bad_parameter", std::string{name} + " is true or false"));
}

}  // namespace stoa::http
