#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/async/task.hpp"

// Asio's types under our one executor, and the two system calls that are tried before Asio is asked
// to wait.
namespace stoa::http::detail {

using Clock = std::chrono::steady_clock;
using ErrorCode = boost::system::error_code;
using Tcp = boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, Executor>;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

/// Awaits without throwing: the error comes first in the tuple.
inline constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>{});

/// Sends what the kernel takes at once. Returns the bytes taken; `error` is set for anything but a
/// full send buffer.
std::size_t send_now(Socket& socket, std::string_view first, std::string_view second,
                     ErrorCode& error);

/// Sends both pieces in order. `sent` counts the bytes the kernel took, also on failure.
Task<ErrorCode> send_all(Socket* socket, std::string_view first, std::string_view second,
                         std::size_t* sent);

/// Whether an idle connection has anything to read, its end included: then it is of no use.
bool has_news(Socket& socket);

}  // namespace stoa::http::detail
