#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "servicekit/async/loops.hpp"
#include "servicekit/async/task.hpp"

namespace stoa::testing_support {

template <class T>
Task<> keep(Task<T> task, std::shared_ptr<std::optional<T>> outcome) {
  outcome->emplace(co_await std::move(task));
}

/// Runs one task to its end on the first loop of `loops`, for tests whose collaborators live on it.
/// Rethrows what the task throws.
template <class T>
T run_on(Loops& loops, Task<T> task) {
  std::exception_ptr failure;
  const auto finish = [&](std::exception_ptr error) {
    failure = std::move(error);
    loops.stop();
  };
  loops.at(0).restart();
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(loops.at(0), std::move(task), finish);
    loops.run();
    if (failure) std::rethrow_exception(failure);
  } else {
    // co_spawn wants a default-constructible result, and a Result<Order> is not one.
    const auto outcome = std::make_shared<std::optional<T>>();
    boost::asio::co_spawn(loops.at(0), keep(std::move(task), outcome), finish);
    loops.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(**outcome);
  }
}

/// The same on a loop of its own, for tests that need no server.
template <class T>
T run(Task<T> task) {
  Loops loops{1};
  return run_on(loops, std::move(task));
}

}  // namespace stoa::testing_support
