#include "servicekit/postgres/detail/group_commit.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>

namespace stoa::postgres::detail {
namespace {

constexpr std::size_t members_max = 32;
// A group that takes longer waits for a lock or for the disk; those behind it may do better.
constexpr std::chrono::milliseconds slow_after{50};
constexpr std::ptrdiff_t slow_groups_max = 4;

// One that waits for the lock of a process that stopped would keep its neighbours from their
// answers until their deadlines: it is told to let go, and alone it may wait.
constexpr Query let_go_soon{.name = "postgres.let_go_soon",
                            .read_only = false,
                            .sql = "SELECT set_config('lock_timeout', '250ms', true)",
                            .params = {}};

// Certain only when the server says so and is still there. Of what fails for everybody (a standby,
// no room, a broken disk) a smaller group would be told the same; one member alone may need too
// much memory.
bool undone_for_one(const Failure& failure) {
  const std::string_view state = failure.sqlstate;
  if (state == "53200") return true;
  return !state.empty() && state != "25006" && !state.starts_with("08") &&
         !state.starts_with("53") && !state.starts_with("57P") && !state.starts_with("58");
}

// Two groups of twins, of two processes, meet the rows of their keys in one order.
void put_in_order(std::vector<UnitPtr>& members) {
  std::ranges::stable_sort(members, {}, [](const UnitPtr& member) {
    const auto& params = member->queries.front().params;
    const auto* number = params.empty() ? nullptr : std::get_if<std::int64_t>(&params.front());
    const auto* text = params.empty() ? nullptr : std::get_if<std::string>(&params.front());
    return std::pair{number == nullptr ? 0 : *number,
                     text == nullptr ? std::string_view{} : std::string_view{*text}};
  });
}

void expire_all(auto& members, Clock::time_point now) {
  for (const UnitPtr& member : members) {
    if (now >= member->deadline) member->finish(lost("the deadline passed"));
  }
}

}  // namespace

GroupCommit::GroupCommit(boost::asio::io_context& loop, std::function<void(UnitPtr)> submit,
                         std::function<void(std::size_t)> sent)
    : loop_{loop}, submit_{std::move(submit)}, sent_{std::move(sent)} {}

void GroupCommit::submit(UnitPtr member) {
  if (closed_) return member->finish(lost("the process stops"));
  Line& line = lines_[member->queries.front().sql.data()];
  line.waiting.push_back(std::move(member));
  start_next(line);
}

void GroupCommit::start_next(Line& line) {
  if (closed_) return;
  while (!line.waiting.empty() && std::ranges::all_of(line.at_server, [](const GroupPtr& group) {
    return group->slow;
  }) && std::ssize(line.at_server) <= slow_groups_max) {
    std::vector<UnitPtr> members;
    while (!line.waiting.empty() && members.size() < members_max) {
      UnitPtr& next = line.waiting.front();
      if (!next->done) members.push_back(std::move(next));
      line.waiting.pop_front();
    }
    if (members.empty()) return;
    if (members.size() > 1) sent_(members.size());
    send(line, std::move(members));
  }
}

void GroupCommit::send(Line& line, std::vector<UnitPtr> members) {
  auto unit = std::make_shared<Unit>();
  put_in_order(members);
  if (members.size() > 1) unit->queries.push_back(let_go_soon);
  for (const UnitPtr& member : members) {
    unit->queries.push_back(std::move(member->queries.front()));
    unit->deadline = std::max(unit->deadline, member->deadline);
  }
  const auto group = std::make_shared<Group>(
      Group{.members = std::move(members), .unit = unit, .sent = Clock::now()});
  // Behind whoever finishes it: that may be a connection in the middle of its work.
  unit->on_done = [weak = weak_from_this(), &line, group, &loop = loop_] {
    boost::asio::post(loop, [weak, &line, group] {
      if (const auto self = weak.lock()) self->ended(line, group);
    });
  };
  line.at_server.push_back(group);
  submit_(std::move(unit));
}

void GroupCommit::ended(Line& line, const GroupPtr& group) {
  std::erase(line.at_server, group);
  Unit& unit = *group->unit;
  const std::size_t before = unit.queries.size() - group->members.size();
  std::vector<UnitPtr> again;
  for (std::size_t i = 0; i < group->members.size(); ++i) {
    const UnitPtr& member = group->members[i];
    if (member->done) continue;
    member->queries.front() = std::move(unit.queries[before + i]);
    if (!unit.failure) {
      member->results.assign(1, unit.results[before + i]);
      member->finish();
    } else if (group->members.size() > 1 && undone_for_one(*unit.failure)) {
      again.push_back(member);
    } else {
      member->finish(*unit.failure);
    }
  }
  if (!again.empty()) {
    const auto middle = again.begin() + (std::ssize(again) + 1) / 2;
    send(line, {again.begin(), middle});
    if (middle != again.end()) send(line, {middle, again.end()});
  }
  start_next(line);
}

void GroupCommit::expire(Clock::time_point now) {
  for (auto& [sql, line] : lines_) {
    expire_all(line.waiting, now);
    std::erase_if(line.waiting, [](const UnitPtr& member) { return member->done; });
    for (const GroupPtr& group : line.at_server) {
      expire_all(group->members, now);
      group->slow = now - group->sent > slow_after;
    }
    start_next(line);
  }
}

void GroupCommit::close(const Failure& why) {
  closed_ = true;
  for (auto& [sql, line] : lines_) {
    for (const UnitPtr& member : std::exchange(line.waiting, {})) member->finish(why);
    for (const GroupPtr& group : line.at_server) {
      for (const UnitPtr& member : group->members) member->finish(why);
    }
  }
}

}  // namespace stoa::postgres::detail
