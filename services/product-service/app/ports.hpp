#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "servicekit/async/context.hpp"
#include "servicekit/async/task.hpp"
#include "servicekit/core/list_total.hpp"

#include "services/product-service/domain/import_plan.hpp"
#include "services/product-service/domain/product.hpp"
#include "services/product-service/domain/reservation.hpp"

// What the use cases need from outside the process. Nothing else gets an interface.
namespace stoa::product {

/// What a caller was told, kept so that a repeat is told the same.
struct Answer {
  int status = 0;
  std::string headers{};  ///< ready lines
  std::string body{};
};

/// Who asks, and what for: repeating a key with the same fingerprint is the same request.
struct RequestKey {
  Uuid origin{};
  std::string caller{};
  std::string fingerprint{};
};

enum class Sort : std::uint8_t { newest, oldest, cheapest, dearest, name, name_descending, best };

/// Where a page ended: the sort key of its last product, as text, and its id.
struct PageEnd {
  std::string key{};
  Uuid id{};
};

struct ListQuery {
  std::vector<std::string> words{};  ///< searched for; then the sort is `best`
  std::optional<std::string> category{};
  Currency currency;
  std::optional<std::int64_t> price_min{};
  std::optional<std::int64_t> price_max{};
  std::optional<bool> in_stock{};
  Sort sort = Sort::newest;
  std::optional<PageEnd> after{};
  std::int64_t limit = 20;
  bool with_total = false;
};

/// Products without their descriptions.
struct ProductPage {
  std::vector<Product> products{};
  std::optional<PageEnd> next{};     ///< empty on the last page
  std::optional<ListTotal> total{};  ///< when it was asked for
};

struct InsertProduct {
  Product product{};
  std::vector<std::int64_t> stock{};  ///< of each variant
  std::string actor{};
  Uuid event_id{};
  std::optional<RequestKey> key{};
  Answer answer{};
};

enum class Inserted : std::uint8_t { stored, key_taken, handle_taken };

struct ChangeProduct {
  ProductId product{};
  std::optional<std::int64_t> version{};  ///< expected; empty: any
  Uuid event_id{};
  /// Pure; called once, with the product as locked.
  std::function<Result<Product>(Product)> edit{};
};

class CatalogueStore {
 public:
  virtual ~CatalogueStore() = default;

  virtual Task<std::optional<Product>> find(Context context, ProductId id) = 0;
  virtual Task<std::optional<ProductId>> product_of(Context context, VariantId id) = 0;
  virtual Task<ProductPage> list(Context context, ListQuery query) = 0;

  /// The first answer of a key. Errors: idempotency_key_reused.
  virtual Task<Result<std::optional<Answer>>> look_up(Context context, RequestKey key) = 0;

  /// Product, variants, prices, stock, journal, event and key, or nothing of them.
  /// Errors: sku_taken.
  virtual Task<Result<Inserted>> insert(Context context, InsertProduct command) = 0;

  /// Stores what `edit` makes of the product, with its event. Errors: product_not_found,
  /// etag_mismatch, sku_taken, and those of `edit`.
  virtual Task<Result<Product>> change(Context context, ChangeProduct command) = 0;
};

/// What readers may have been told and must not be told any longer.
class CatalogueCache {
 public:
  virtual ~CatalogueCache() = default;
  virtual Task<> forget(Context context, std::vector<ProductId> products) = 0;
};

/// Products some variant of which was sold out or came back: what readers were told is wrong now.
using StaleProducts = std::vector<ProductId>;

struct Reserved {
  Reservation reservation{};
  StaleProducts stale{};
};

/// One event of order-service about the end of an order.
struct SettledOrder {
  Uuid event_id{};
  ReservationId reservation{};
  OrderOutcome outcome = OrderOutcome::ended;
};

struct SettledBatch {
  std::vector<bool> known{};  ///< of each event: whether there is such a reservation
  StaleProducts stale{};
};

struct OverdueReservation {
  ReservationId id{};
  Uuid origin{};
};

struct AdjustStock {
  VariantId variant{};
  std::int64_t delta = 0;
  std::string reason{};
  std::string actor{};
  Uuid event_id{};
  std::optional<RequestKey> key{};
  std::function<Answer(const StockLevel&)> render{};
};

struct Adjusted {
  std::optional<Answer> answer{};  ///< empty: the key was taken meanwhile
  StaleProducts stale{};
};

/// The journal of a variant, and from where on.
struct ListMovements {
  VariantId variant{};
  std::optional<std::int64_t> before{};  ///< a movement's number
  std::int64_t limit = 20;
  bool with_total = false;
};

struct StockMovement {
  std::int64_t number = 0;  ///< increasing
  std::int64_t delta = 0;
  std::string kind{};
  std::string reason{};
  std::optional<ReservationId> reservation{};
  std::optional<ImportId> import{};
  std::string actor{};
  Instant created_at{};
};

struct MovementPage {
  std::vector<StockMovement> movements{};  ///< newest first
  std::optional<std::int64_t> next{};
  std::optional<ListTotal> total{};  ///< when it was asked for
};

class StockStore {
 public:
  virtual ~StockStore() = default;

  /// Errors: variant_not_found, currency_not_available, too_many_open_orders, out_of_stock,
  /// reservation_reused, reservation_ended. All lines or none.
  virtual Task<Result<Reserved>> reserve(Context context, ReserveStock command) = 0;

  /// A move that the state does not allow changes nothing.
  virtual Task<StaleProducts> settle(Context context, ReservationId id, Settlement settlement) = 0;

  /// Each event once in effect, however often it comes.
  virtual Task<SettledBatch> settle_orders(Context context, std::vector<SettledOrder> orders) = 0;

  /// Active reservations past their deadline by the database's clock. Each is handed out once,
  /// then again when nothing came of it.
  virtual Task<std::vector<OverdueReservation>> claim_overdue(Context context) = 0;

  virtual Task<std::optional<StockLevel>> level(Context context, VariantId id) = 0;

  /// Errors: variant_not_found, stock_below_reserved, invalid_adjustment.
  virtual Task<Result<Adjusted>> adjust(Context context, AdjustStock command) = 0;

  /// Errors: variant_not_found.
  virtual Task<Result<MovementPage>> movements(Context context, ListMovements query) = 0;
};

/// What order-service says of a reservation.
struct ReservationFate {
  bool abandoned = false;      ///< no order holds it, and none ever will
  std::string order_status{};  ///< of the order that holds it
};

class OrderReservations {
 public:
  virtual ~OrderReservations() = default;
  /// Throws Unavailable when order-service cannot answer: then nothing is given back.
  virtual Task<ReservationFate> abandon(Context context, ReservationId id, Uuid origin) = 0;
};

enum class ImportState : std::uint8_t { receiving, queued, running, completed, failed };
std::string_view name(ImportState state);

struct Import {
  ImportId id{};
  ImportState state = ImportState::receiving;
  Currency currency;
  bool set_stock = false;
  std::string caller{};
  std::int64_t byte_count = 0;
  CsvPosition done{};  ///< where the next product begins; its line counts from 1
  std::int64_t rows = 0;
  std::int64_t created = 0;
  std::int64_t updated = 0;
  std::int64_t unchanged = 0;
  std::int64_t refused = 0;
  std::int64_t problem_count = 0;
  std::string failure{};      ///< why it failed as a whole
  std::int64_t attempts = 0;  ///< workers that took it since its last committed step
  Instant created_at{};
  std::optional<Instant> finished_at{};
};

struct ImportReport {
  Import import;
  std::vector<RowProblem> problems{};  ///< the first import_problems_told_max
  std::vector<std::string> codes{};    ///< owns what RowProblem::code points to
};

inline constexpr std::int64_t import_problems_told_max = 1'000;
inline constexpr std::int64_t import_problems_kept_max = 10'000;

/// What one transaction of an import adds.
struct ImportStep {
  ImportId import{};
  Uuid worker{};
  std::vector<ImportedProduct> products{};
  CsvPosition end{};
  std::function<Uuid()> next_uuid{};
  Instant now{};
};

struct StepResult {
  bool leased = true;  ///< false: another worker has the import, nothing was stored
  StaleProducts changed{};
};

class ImportStore {
 public:
  virtual ~ImportStore() = default;

  virtual Task<> begin_upload(Context context, Import import) = 0;
  virtual Task<> append(Context context, ImportId id, std::int64_t byte_first,
                        std::string bytes) = 0;
  /// Makes the upload an import. False when the key was taken meanwhile: nothing is queued.
  virtual Task<bool> queue(Context context, ImportId id, std::string fingerprint,
                           std::int64_t byte_count, std::optional<RequestKey> key,
                           Answer answer) = 0;
  virtual Task<> discard(Context context, ImportId id) = 0;
  /// Uploads that a dead process left behind. Returns how many.
  virtual Task<std::int64_t> discard_stale(Context context) = 0;

  virtual Task<std::optional<ImportReport>> find(Context context, ImportId id) = 0;

  /// The oldest import that nobody works on, leased to `worker`; each step renews the lease.
  virtual Task<std::optional<Import>> claim(Context context, Uuid worker) = 0;
  /// The bytes from `byte` to the end of the chunk that holds it; empty at the end.
  virtual Task<std::string> read(Context context, ImportId id, std::uint64_t byte) = 0;
  virtual Task<StepResult> store(Context context, ImportStep step) = 0;
  /// Ends the lease early: whoever asks next goes on.
  virtual Task<> hand_back(Context context, ImportId id, Uuid worker) = 0;
  /// Ends it and drops its bytes; with a failure, as failed.
  virtual Task<> finish(Context context, ImportId id, Uuid worker, std::string failure) = 0;
};

}  // namespace stoa::product
