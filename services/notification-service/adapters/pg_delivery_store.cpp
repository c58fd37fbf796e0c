#include "services/notification-service/adapters/pg_delivery_store.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "servicekit/core/require.hpp"
#include "servicekit/crypto/crypto.hpp"
#include "servicekit/json/json.hpp"
#include "servicekit/postgres/idempotency.hpp"
#include "servicekit/runtime/crash_point.hpp"
#include "servicekit/runtime/mutant.hpp"

#include "services/notification-service/adapters/notice_json.hpp"

namespace stoa::notification {
namespace {

using postgres::array;
using postgres::param;
using postgres::Query;

constexpr const char* consumer = "notification-service.events";
constexpr std::int64_t purge_rows_max = 1'000;
constexpr int purge_rounds_max = 20;

// The inbox keeps a repeated event out; the unique (subject, kind) keeps out a second event that
// tells the same, such as one that was published again by hand.
Query insert_deliveries(const std::vector<Notice>& notices, Claim claim) {
  std::vector<Uuid> events;
  std::vector<Uuid> ids;
  std::vector<Uuid> users;
  std::vector<std::string> subjects;
  std::vector<std::string> kinds;
  std::vector<std::string> contents;
  std::vector<std::string> message_ids;
  std::vector<std::string> traces;
  for (const Notice& notice : notices) {
    events.push_back(notice.event.uuid);
    ids.push_back(notice.delivery.uuid);
    users.push_back(notice.user.uuid);
    subjects.push_back(notice.subject);
    kinds.emplace_back(name(notice.kind));
    contents.push_back(notice.content);
    message_ids.push_back(notice.message_id);
    traces.push_back(notice.traceparent);
  }
  return {
      .name = "delivery.insert",
      .read_only = false,
      .sql = R"sql(
        WITH claimed AS (
          INSERT INTO inbox (consumer, event_id)
          SELECT $1, event_id FROM unnest($2::uuid[]) AS event_id
          ON CONFLICT DO NOTHING
          RETURNING event_id
        )
        INSERT INTO deliveries (id, user_id, subject, kind, content, message_id, traceparent, due_at)
        SELECT told.id, told.user_id, told.subject, told.kind, told.content::jsonb,
               told.message_id, told.traceparent,
               CASE WHEN told.place <= $10 THEN now() + $11 * interval '1 millisecond'
                    ELSE now() END
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::text[])
             WITH ORDINALITY AS told (event_id, id, user_id, subject, kind, content, message_id,
                                      traceparent, place)
        JOIN claimed USING (event_id)
        ON CONFLICT (subject, kind) DO NOTHING
        RETURNING id
      )sql",
      .params = {consumer, array(events), array(ids), array(users), array(subjects), array(kinds),
                 array(contents), array(message_ids), array(traces),
                 static_cast<std::int64_t>(claim.count_max), std::int64_t{claim.lease.count()}},
  };
}

Query erase_users(const std::vector<Erasure>& erasures) {
  std::vector<Uuid> events;
  std::vector<Uuid> users;
  for (const Erasure& erasure : erasures) {
    events.push_back(erasure.event.uuid);
    users.push_back(erasure.user.uuid);
  }
  return {
      .name = "delivery.erase_users",
      .read_only = false,
      .sql = R"sql(
        WITH claimed AS (
          INSERT INTO inbox (consumer, event_id)
          SELECT $1, event_id FROM unnest($2::uuid[]) AS event_id
          ON CONFLICT DO NOTHING
        )
        UPDATE deliveries
        SET content = NULL, updated_at = now(),
            status = CASE WHEN status = 'pending' THEN 'suppressed' ELSE status END
        WHERE user_id = ANY($3::uuid[]) AND content IS NOT NULL
      )sql",
      .params = {consumer, array(events), array(users)},
  };
}

Query claim_due(Claim claim) {
  return {
      .name = "delivery.claim_due",
      .read_only = false,
      .sql = R"sql(
        UPDATE deliveries SET due_at = now() + $2 * interval '1 millisecond', updated_at = now()
        WHERE id IN (
          SELECT id FROM deliveries WHERE status = 'pending' AND due_at <= now()
          ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, user_id, subject, kind, content, message_id, traceparent, failures
      )sql",
      .params = {static_cast<std::int64_t>(claim.count_max), std::int64_t{claim.lease.count()}},
  };
}

Query end_as_sent(const std::vector<DeliveryId>& ids) {
  std::vector<Uuid> uuids;
  uuids.reserve(ids.size());
  for (const DeliveryId& id : ids) uuids.push_back(id.uuid);
  return {
      .name = "delivery.mark_sent",
      .read_only = false,
      .sql = R"sql(
        UPDATE deliveries SET status = 'sent', sent_at = now(), updated_at = now()
        WHERE id = ANY($1::uuid[]) AND status = 'pending'
      )sql",
      .params = {array(uuids)},
  };
}

Query end_as_suppressed(DeliveryId id) {
  return {
      .name = "delivery.suppress",
      .read_only = false,
      .sql = R"sql(
        UPDATE deliveries SET status = 'suppressed', content = NULL, updated_at = now()
        WHERE id = $1 AND status = 'pending'
      )sql",
      .params = {param(id.uuid)},
  };
}

Query end_as_failed(const Delivery& delivery, const std::string& reason) {
  const std::string traceparent = delivery.trace.valid() ? delivery.trace.traceparent() : "";
  return {
      .name = "delivery.fail",
      .read_only = false,
      .sql = R"sql(
        WITH failed AS (
          UPDATE deliveries
          SET status = 'failed', failures = failures + 1, last_error = $2, updated_at = now()
          WHERE id = $1 AND status = 'pending'
          RETURNING id
        )
        INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
        SELECT $3, 'notification.failed', $4, 1, $5::jsonb, $6 FROM failed
      )sql",
      .params = {param(delivery.id.uuid), reason, param(crypto::new_uuid()), delivery.id.str(),
                 notification_failed(delivery), traceparent},
  };
}

Query move_due(DeliveryId id, const DeliveryStore::Postponement& postponement) {
  return {
      .name = "delivery.postpone",
      .read_only = false,
      .sql = R"sql(
        UPDATE deliveries
        SET due_at = now() + $2 * interval '1 millisecond', failures = failures + $3,
            last_error = $4, updated_at = now()
        WHERE id = $1 AND status = 'pending'
      )sql",
      .params = {param(id.uuid), std::int64_t{postponement.delay.count()},
                 std::int64_t{postponement.refusals}, postponement.reason},
  };
}

Query erase_old_contents() {
  return {
      .name = "delivery.erase_old_contents",
      .read_only = false,
      .sql = R"sql(
        UPDATE deliveries SET content = NULL
        WHERE id IN (
          SELECT id FROM deliveries
          WHERE content IS NOT NULL AND status <> 'pending'
            AND created_at < now() - interval '30 days'
          ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
      )sql",
      .params = {purge_rows_max},
  };
}

Query count_pending() {
  return {
      .name = "delivery.count_open",
      .read_only = true,
      .sql = "SELECT count(*) FROM deliveries WHERE status = 'pending' AND due_at <= 'infinity'",
      .params = {}};
}

Delivery read_delivery(const postgres::Row& row) {
  const auto kind = parse_notice_kind(row.text(3));
  require(kind.has_value(), "the database holds known kinds only");
  return {.id = {row.uuid(0)},
          .user = {row.uuid(1)},
          .subject = std::string{row.text(2)},
          .kind = *kind,
          .content = std::string{row.text(4)},
          .message_id = std::string{row.text(5)},
          .trace = TraceContext::parse(row.text(6)).value_or(TraceContext{}),
          .failures = static_cast<int>(row.number(7))};
}

// What the row of a new delivery says; `rows` are the ids of those.
std::vector<Delivery> claimed_of(std::vector<Notice> notices, const postgres::Rows& rows,
                                 const std::vector<Erasure>& erasures, std::size_t count_max) {
  std::unordered_set<std::string> made;
  for (const auto row : rows) made.insert(row.uuid(0).str());
  std::vector<Delivery> claimed;
  notices.resize(std::min(notices.size(), count_max));
  for (Notice& notice : notices) {
    const bool forgotten = std::ranges::contains(erasures, notice.user, &Erasure::user);
    if (forgotten || !made.contains(notice.delivery.uuid.str())) continue;
    claimed.push_back({.id = notice.delivery,
                       .user = notice.user,
                       .subject = std::move(notice.subject),
                       .kind = notice.kind,
                       .content = std::move(notice.content),
                       .message_id = std::move(notice.message_id),
                       .trace = TraceContext::parse(notice.traceparent).value_or(TraceContext{})});
  }
  return claimed;
}

}  // namespace

Task<std::vector<Delivery>> PgDeliveryStore::accept(Context context, std::vector<Notice> notices,
                                                    std::vector<Erasure> erasures, Claim claim) {
  std::vector<Query> queries;
  if (!notices.empty()) queries.push_back(insert_deliveries(notices, claim));
  // After the insertion, so that a user who registers and leaves in one batch is forgotten.
  if (!erasures.empty()) queries.push_back(erase_users(erasures));
  if (queries.empty()) co_return std::vector<Delivery>{};
  runtime::crash_point("notification.accept.before_commit");
  const auto results = co_await database_.run_all(std::move(context), std::move(queries));
  runtime::crash_point("notification.accept.after_commit");
  if (notices.empty()) co_return std::vector<Delivery>{};
  co_return claimed_of(std::move(notices), results.front(), erasures, claim.count_max);
}

Task<std::vector<Delivery>> PgDeliveryStore::claim(Context context, Claim claim) {
  const auto rows = co_await database_.run(std::move(context), claim_due(claim));
  std::vector<Delivery> deliveries;
  deliveries.reserve(rows.size());
  for (const auto row : rows) deliveries.push_back(read_delivery(row));
  if (runtime::mutant<"notification.message_id_per_try">()) {
    for (Delivery& delivery : deliveries) delivery.message_id.insert(1, "again-");
  }
  co_return deliveries;
}

Task<> PgDeliveryStore::mark_sent(Context context, std::vector<DeliveryId> ids) {
  runtime::crash_point("notification.sent.before_commit");
  co_await database_.run(std::move(context), end_as_sent(ids));
  runtime::crash_point("notification.sent.after_commit");
}

Task<> PgDeliveryStore::suppress(Context context, DeliveryId id) {
  co_await database_.run(std::move(context), end_as_suppressed(id));
}

Task<> PgDeliveryStore::fail(Context context, Delivery delivery, std::string reason) {
  co_await database_.run(std::move(context), end_as_failed(delivery, reason));
  wake_relay_();
}

Task<> PgDeliveryStore::postpone(Context context, DeliveryId id, Postponement postponement) {
  co_await database_.run(std::move(context), move_due(id, postponement));
}

Task<> PgDeliveryStore::purge(Context context) {
  for (int round = 0; round < purge_rounds_max; ++round) {
    const auto contents = co_await database_.run(context, erase_old_contents());
    const auto inbox = co_await database_.run(context, postgres::purge_inbox(purge_rows_max));
    if (contents.affected() < purge_rows_max && inbox.affected() < purge_rows_max) co_return;
  }
}

Task<std::int64_t> PgDeliveryStore::count_open(Context context) {
  const auto rows = co_await database_.run(std::move(context), count_pending());
  co_return rows.front().number(0);
}

}  // namespace stoa::notification
