#pragma once

#include <stdexcept>

namespace stoa {

/// The world failed: a connection, a deadline, a neighbour. Caught at two borders only,
/// the HTTP pipeline (503 + Retry-After) and the message consumer (pause and resume).
/// The text names the cause for the log; it never reaches a client.
class Unavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace stoa
