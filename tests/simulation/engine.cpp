#include "tests/simulation/engine.hpp"

#include <algorithm>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace stoa::simulation {

// What still waits is dropped while the loop that unwinds it is there.
Engine::~Engine() {
  events_.clear();
  while (!parked_.empty()) {
    parked_.clear();
    run_ready();
  }
}

void Engine::after(milliseconds delay, Action action) {
  events_.emplace(std::pair{now_ + delay, ++made_}, std::move(action));
}

Task<> Engine::park(ProcessId process, Token token) {
  using Awaitable = boost::asio::use_awaitable_t<Executor>;
  Awaitable awaitable;
  co_await boost::asio::async_initiate<Awaitable, void()>(
      [this, process, token](auto handler) {
        parked_.emplace(token, Parked{.process = process, .resume = std::move(handler)});
      },
      awaitable);
}

Task<> Engine::pause(ProcessId process, milliseconds delay) {
  const Token token = new_token();
  after(delay, [this, token] { wake(token); });
  co_await park(process, token);
}

void Engine::wake(Token token) {
  const auto found = parked_.find(token);
  if (found == parked_.end()) return;
  if (frozen(found->second.process)) {
    after(thaws_in(found->second.process), [this, token] { wake(token); });
    return;
  }
  Action resume = std::move(found->second.resume);
  parked_.erase(found);
  resume();
}

void Engine::kill(ProcessId process) {
  std::erase_if(parked_, [&](const auto& entry) { return entry.second.process == process; });
  frozen_until_.erase(process);
  run_ready();
}

void Engine::freeze(ProcessId process, milliseconds duration) {
  milliseconds& until = frozen_until_[process];
  until = std::max(until, now_ + duration);
}

bool Engine::frozen(ProcessId process) const { return thaws_in(process) > milliseconds{0}; }

milliseconds Engine::thaws_in(ProcessId process) const {
  const auto until = frozen_until_.find(process);
  if (until == frozen_until_.end()) return milliseconds{0};
  return std::max(until->second - now_, milliseconds{0});
}

bool Engine::step() {
  run_ready();  // what was spawned before the first step
  if (events_.empty()) return false;
  auto next = events_.extract(events_.begin());
  now_ = next.key().first;
  next.mapped()();
  run_ready();
  return true;
}

// Coroutines that were started or dropped by the event go on, or unwind, on the loop.
void Engine::run_ready() {
  while (loops_.at(0).poll() > 0) {
  }
}

}  // namespace stoa::simulation
