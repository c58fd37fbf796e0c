#include "servicekit/postgres/detail/unit.hpp"

#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "servicekit/core/unavailable.hpp"

namespace stoa::postgres::detail {
namespace {

// Appendix A of the PostgreSQL manual. Classes: 08 connection, 53 resources, 57P shutdown, 58
// system. Single codes: 57014 cancelled (statement_timeout), 55P03 lock_timeout, 25P03 and 25P04
// transaction time-outs, 25006 a standby answered.
bool is_the_world(std::string_view sqlstate) {
  return sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("53") ||
         sqlstate.starts_with("57P") || sqlstate.starts_with("58") || sqlstate == "57014" ||
         sqlstate == "55P03" || sqlstate == "25P03" || sqlstate == "25P04" || sqlstate == "25006" ||
         sqlstate == "40001" || sqlstate == "40P01";
}

}  // namespace

Failure lost(std::string why) {
  return {.sqlstate = "", .message = std::move(why), .unavailable = true};
}

Failure refused(std::string_view sqlstate, std::string message) {
  return {.sqlstate = std::string{sqlstate},
          .message = std::move(message),
          .unavailable = is_the_world(sqlstate)};
}

bool asks_for_repeat(const Failure& failure) {
  return failure.sqlstate == "40001" || failure.sqlstate == "40P01";
}

void raise(const Failure& failure) {
  if (!failure.unavailable) throw SqlError{failure.sqlstate, failure.message};
  if (failure.sqlstate.empty()) throw Unavailable{"PostgreSQL: " + failure.message};
  throw Unavailable{"PostgreSQL " + failure.sqlstate + ": " + failure.message};
}

void Unit::finish() {
  if (done) return;
  done = true;
  if (auto resume = std::exchange(on_done, nullptr)) resume();
}

void Unit::finish(Failure why) {
  if (done) return;
  failure = std::move(why);
  finish();
}

Task<> wait_for(UnitPtr unit) {
  if (unit->done) co_return;
  const boost::asio::use_awaitable_t<Executor> token;
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>, void()>(
      [unit](auto resume) {
        unit->on_done = [resume = std::move(resume)]() mutable {
          const auto loop = boost::asio::get_associated_executor(resume);
          boost::asio::post(loop, std::move(resume));
        };
      },
      token);
}

}  // namespace stoa::postgres::detail
