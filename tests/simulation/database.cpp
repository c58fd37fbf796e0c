#include "tests/simulation/database.hpp"

#include <format>

namespace stoa::simulation {

bool Database::claim(Queue consumer, const Uuid& event) {
  const bool first = inbox_.emplace(consumer, event).second;
  return first || room_.has(Defect::inbox_off);
}

void Database::effect(Queue consumer, const Uuid& event) {
  if (effects_.emplace(consumer, event).second) return;
  room_.violated("exactly once", std::format("event {} had an effect twice", event.str()));
}

void Database::tell(Event event) {
  if (room_.has(Defect::outbox_outside_transaction)) {
    untold_.push_back(std::move(event));
  } else {
    outbox_.add(room_, std::move(event), clock());
  }
}

void Database::store_untold(std::vector<Event> events) {
  for (Event& event : events) outbox_.add(room_, std::move(event), clock());
}

Task<> commit(Line* line, Database* database) {
  auto untold = database->take_untold();
  co_await line->back();
  if (untold.empty()) co_return;
  co_await line->go();
  database->store_untold(std::move(untold));
  co_await line->back();
}

}  // namespace stoa::simulation
