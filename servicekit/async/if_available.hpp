#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "servicekit/async/task.hpp"
#include "servicekit/core/unavailable.hpp"

namespace stoa {

/// Awaits `task`; empty when the world failed. The border for work that nobody waits for and whose
/// next step is the same whether a neighbour is slow or gone: an attempt at a payment provider, a
/// delivery. On a request's or a message's path let Unavailable pass instead.
template <class T>
  requires(!std::is_void_v<T>)
Task<std::optional<T>> if_available(Task<T> task) {
  try {
    std::optional<T> value{co_await std::move(task)};
    co_return value;
  } catch (const Unavailable&) {
    co_return std::nullopt;
  }
}

/// The same for a task without a value: false when the world failed.
inline Task<bool> if_available(Task<> task) {
  try {
    co_await std::move(task);
    co_return true;
  } catch (const Unavailable&) {
    co_return false;
  }
}

}  // namespace stoa
