#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "servicekit/http/detail/parser.hpp"
#include "servicekit/http/detail/routes.hpp"

namespace stoa::http::detail {

/// Where a streamed body comes from: the connection.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  virtual Task<std::string> next_piece(std::chrono::steady_clock::time_point until) = 0;
};

/// One request in the making. Belongs to its connection and is reused for the next request, with
/// the memory of its strings.
struct Exchange {
  const Message* message = nullptr;
  BodyStream* stream = nullptr;
  Method method = Method::get;
  Route* route = nullptr;
  PathParams params;
  Identity identity;
  std::string client_address;
  bool behind_proxy = false;
  Context context;
  std::optional<telemetry::Span> span;
  std::chrono::steady_clock::time_point started;

  std::string_view path() const {
    const std::string_view target = message->target();
    return target.substr(0, target.find('?'));
  }
};

}  // namespace stoa::http::detail
