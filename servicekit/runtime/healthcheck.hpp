#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace stoa::runtime {

/// Whether the process behind the admin port answers /readyz with 200. Blocks, at most `timeout`.
bool is_ready(const std::string& address, std::uint16_t admin_port,
              std::chrono::milliseconds timeout);

}  // namespace stoa::runtime
