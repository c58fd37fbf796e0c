#pragma once

#include <functional>
#include <string>
#include <vector>

#include "servicekit/postgres/database.hpp"

#include "services/notification-service/app/ports.hpp"

namespace stoa::notification {

/// The deliveries in PostgreSQL. Every call is one round trip.
class PgDeliveryStore final : public DeliveryStore {
 public:
  /// `wake_relay` is called after a commit that wrote an event.
  PgDeliveryStore(postgres::Database& database, std::function<void()> wake_relay)
      : database_{database}, wake_relay_{std::move(wake_relay)} {}

  Task<std::vector<Delivery>> accept(Context context, std::vector<Notice> notices,
                                     std::vector<Erasure> erasures, Claim claim) override;
  Task<std::vector<Delivery>> claim(Context context, Claim claim) override;
  Task<> mark_sent(Context context, std::vector<DeliveryId> ids) override;
  Task<> suppress(Context context, DeliveryId id) override;
  Task<> fail(Context context, Delivery delivery, std::string reason) override;
  Task<> postpone(Context context, DeliveryId id, Postponement postponement) override;

  /// Contents 30 days after their day, inbox rows after theirs; in bounded steps.
  Task<> purge(Context context);
  /// Open deliveries, for the gauge.
  Task<std::int64_t> count_open(Context context);

 private:
  postgres::Database& database_;
  std::function<void()> wake_relay_;
};

}  // namespace stoa::notification
