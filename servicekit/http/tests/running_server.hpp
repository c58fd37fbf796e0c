#pragma once

#include "servicekit/testing/running_server.hpp"

namespace stoa::http {

using testing_support::RunningServer;

inline Task<Response> say_hello(Context, Request) { co_return ok(R"({"hello":true})"); }

inline Task<Response> echo(Context, Request request) { co_return ok(std::string{request.body()}); }

}  // namespace stoa::http
