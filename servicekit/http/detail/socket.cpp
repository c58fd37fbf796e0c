#include "servicekit/http/detail/socket.hpp"

#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <sys/uio.h>

namespace stoa::http::detail {
namespace {

iovec piece(std::string_view bytes) {
  // sendmsg() does not write through this pointer; the C interface cannot say so.
  return {
      .iov_base = const_cast<char*>(bytes.data()),  // NOLINT(cppcoreguidelines-pro-type-const-cast)
      .iov_len = bytes.size()};
}

}  // namespace

std::size_t send_now(Socket& socket, std::string_view first, std::string_view second,
                     ErrorCode& error) {
  std::array<iovec, 2> pieces{piece(first), piece(second)};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = second.empty() ? 1 : 2;
  const ssize_t sent = ::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    error.assign(errno, boost::system::system_category());
  }
  return 0;
}

Task<ErrorCode> send_all(Socket* socket, std::string_view first, std::string_view second,
                         std::size_t* sent) {
  ErrorCode error;
  while (!error && !(first.empty() && second.empty())) {
    const std::size_t taken = send_now(*socket, first, second, error);
    *sent += taken;
    const std::size_t of_first = std::min(taken, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(taken - of_first);
    if (first.empty()) std::swap(first, second);
    if (error || first.empty()) break;
    const auto [waited] = co_await socket->async_wait(Socket::wait_write, as_result);
    error = waited;
  }
  co_return error;
}

bool has_news(Socket& socket) {
  char byte = 0;
  const ssize_t got = ::recv(socket.native_handle(), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace stoa::http::detail
