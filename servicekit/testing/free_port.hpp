#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stoa::testing_support {

/// Different ports of 127.0.0.1 on which nobody listened a moment ago.
template <std::size_t Count>
std::array<std::uint16_t, Count> free_ports() {
  std::array<int, Count> sockets{};
  std::array<std::uint16_t, Count> ports{};
  bool all_bound = true;
  // All are held until the last is known: the kernel gives none twice.
  for (std::size_t i = 0; i < Count; ++i) {
    sockets[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    all_bound = all_bound && ::bind(sockets[i], generic, size) == 0 &&
                ::getsockname(sockets[i], generic, &size) == 0;
    ports[i] = ntohs(address.sin_port);
  }
  const int why = errno;
  for (const int socket : sockets) ::close(socket);
  if (!all_bound) throw std::system_error{why, std::generic_category(), "no free port"};
  return ports;
}

inline std::uint16_t free_port() { return free_ports<1>()[0]; }

}  // namespace stoa::testing_support
