#pragma once

#include <cstddef>

#include <boost/intrusive/list.hpp>

#include "servicekit/http/detail/socket.hpp"

namespace stoa::http::detail {

/// Coroutines of one loop that wait for their turn, first come, first served.
class WaitList {
 public:
  /// False when `deadline` passed first.
  Task<bool> wait(boost::asio::io_context* loop, Clock::time_point deadline);
  void wake_one();
  void wake_all();
  std::size_t size() const { return waiters_.size(); }

 private:
  using Hook =
      boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;
  struct Waiter : Hook {
    explicit Waiter(boost::asio::io_context& loop) : timer{loop.get_executor()} {}
    Timer timer;
    bool woken = false;
  };
  /// Takes the waiter off the list however its coroutine ends.
  struct Place {
    WaitList& list;
    Waiter& waiter;
    ~Place() {
      if (waiter.is_linked()) list.waiters_.erase(list.waiters_.iterator_to(waiter));
    }
  };
  boost::intrusive::list<Waiter> waiters_;
};

}  // namespace stoa::http::detail
