#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "servicekit/postgres/detail/unit.hpp"

namespace stoa::postgres::detail {

/// Calls of one statement that come while another of it is at the server go there together, in one
/// transaction: a message, a commit and a wake-up for all of them (ADR 91). What the server undoes
/// is asked again in halves, so that a call fails for itself alone. Everything runs on the loop's
/// thread.
class GroupCommit : public std::enable_shared_from_this<GroupCommit> {
 public:
  /// `submit` sends one unit; `sent` is told of every group of strangers, with its size.
  GroupCommit(boost::asio::io_context& loop, std::function<void(UnitPtr)> submit,
              std::function<void(std::size_t)> sent);

  /// `member` has one query. It goes at once when no group of its statement is at the server.
  void submit(UnitPtr member);

  /// Answers those whose deadline passed; who waits behind a slow group does so no longer.
  void expire(Clock::time_point now);

  /// Fails all that wait or are at the server; none is sent any more.
  void close(const Failure& why);

 private:
  struct Group {
    std::vector<UnitPtr> members;
    UnitPtr unit;
    Clock::time_point sent;
    bool slow = false;
  };
  using GroupPtr = std::shared_ptr<Group>;
  struct Line {
    std::deque<UnitPtr> waiting;
    std::vector<GroupPtr> at_server;
  };

  void start_next(Line& line);
  void send(Line& line, std::vector<UnitPtr> members);
  void ended(Line& line, const GroupPtr& group);

  boost::asio::io_context& loop_;
  std::function<void(UnitPtr)> submit_;
  std::function<void(std::size_t)> sent_;
  std::unordered_map<const char*, Line> lines_;  ///< by the literal; a node of it never moves
  bool closed_ = false;
};

}  // namespace stoa::postgres::detail
