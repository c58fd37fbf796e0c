#include "services/product-service/app/imports.hpp"

#include <utility>
#include <variant>

#include "servicekit/core/unavailable.hpp"

namespace stoa::product {
namespace {

constexpr int completing_rounds_max = 2;
constexpr std::int64_t attempts_max = 5;
constexpr std::chrono::milliseconds step_timeout{10'000};

Context step_context() { return Context{}.within(step_timeout); }

}  // namespace

/// One worker's way through one import.
class Imports::Run {
 public:
  Run(Imports& imports, Import import, Uuid worker)
      : imports_{imports}, store_{imports.store_}, import_{std::move(import)}, worker_{worker} {}

  Task<Worked> go() {
    bool readable = import_.attempts <= attempts_max;
    if (readable) readable = co_await read_header();
    if (!readable) {
      co_await store_.finish(step_context(), import_.id, worker_, failure_);
      worked_.finished = true;
      co_return worked_;
    }
    resume();
    for (std::size_t step = 0; step < imports_.sources_.steps_per_turn; ++step) {
      const bool more = co_await gather();
      const bool leased = co_await store();
      if (!leased) co_return worked_;
      if (more) continue;
      co_await store_.finish(step_context(), import_.id, worker_, "");
      worked_.finished = true;
      co_return worked_;
    }
    co_await store_.hand_back(step_context(), import_.id, worker_);
    co_return worked_;
  }

 private:
  /// False when the file as a whole cannot be read; then failure_ says why.
  Task<bool> read_header() {
    std::optional<CsvItem> item = reader_.next();
    while (!item) {
      std::string bytes = co_await store_.read(step_context(), import_.id, read_to_);
      if (bytes.empty()) {
        reader_.finish();
        item = reader_.next();
        if (!item) {
          failure_ = "the file is empty";
          co_return false;
        }
        break;
      }
      read_to_ += bytes.size();
      reader_.push(bytes);
      item = reader_.next();
    }
    const auto* record = std::get_if<CsvRecord>(&*item);
    if (record == nullptr) {
      failure_ = "the first line cannot be read: " + std::string{std::get<CsvProblem>(*item).code};
      co_return false;
    }
    auto columns = Columns::from_header(record->fields);
    if (!columns) {
      failure_ = columns.error().detail;
      co_return false;
    }
    assembler_.emplace(std::move(*columns), import_.currency);
    header_end_ = record->end;
    co_return true;
  }

  /// Behind the last committed product, or behind the header.
  void resume() {
    const CsvPosition at = import_.done.byte > 0 ? import_.done : header_end_;
    reader_ = CsvReader{at};
    read_to_ = at.byte;
    end_ = at;
  }

  /// Collects the products of one step. False at the end of the file.
  Task<bool> gather() {
    while (products_.size() < imports_.sources_.products_per_step) {
      if (auto item = reader_.next()) {
        if (auto product = assembler_->add(std::move(*item))) take(std::move(*product));
        continue;
      }
      if (ended_) {
        if (auto product = assembler_->finish()) take(std::move(*product));
        co_return false;
      }
      std::string bytes = co_await store_.read(step_context(), import_.id, read_to_);
      read_to_ += bytes.size();
      ended_ = bytes.empty();
      if (ended_) reader_.finish();
      reader_.push(bytes);
    }
    co_return true;
  }

  void take(ImportedProduct product) {
    end_ = product.end;
    worked_.products += 1;
    worked_.refused += product.refused() ? 1 : 0;
    products_.push_back(std::move(product));
  }

  /// Stores what was gathered. False when another worker has the import.
  Task<bool> store() {
    ImportStep step{.import = import_.id,
                    .worker = worker_,
                    .products = std::exchange(products_, {}),
                    .end = end_,
                    .next_uuid = imports_.sources_.next_uuid,
                    .now = imports_.sources_.now()};
    auto result = co_await store_.store(step_context(), std::move(step));
    if (!result.changed.empty()) {
      co_await imports_.cache_.forget(step_context(), std::move(result.changed));
    }
    co_return result.leased;
  }

  Imports& imports_;
  ImportStore& store_;
  Import import_;
  Uuid worker_;
  CsvReader reader_{};
  std::uint64_t read_to_ = 0;
  CsvPosition header_end_{};
  CsvPosition end_{};
  std::optional<ProductAssembler> assembler_;
  std::vector<ImportedProduct> products_;
  std::string failure_ = "given up: its workers ended before they could store anything";
  bool ended_ = false;
  Worked worked_{.found = true};
};

Task<Imports::Upload> Imports::begin(Context context, Currency currency, bool set_stock,
                                     std::string caller) {
  Upload upload{.import = {.id = ImportId{sources_.next_uuid()},
                           .currency = currency,
                           .set_stock = set_stock,
                           .caller = std::move(caller),
                           .created_at = sources_.now()}};
  co_await store_.begin_upload(std::move(context), upload.import);
  co_return upload;
}

Task<> Imports::append(Context context, Upload* upload, std::string bytes) {
  const std::int64_t at = upload->import.byte_count;
  upload->import.byte_count += static_cast<std::int64_t>(bytes.size());
  co_await store_.append(std::move(context), upload->import.id, at, std::move(bytes));
}

Task<Result<Answer>> Imports::complete(Context context, Upload upload, std::string fingerprint,
                                       std::optional<RequestKey> key) {
  upload.import.state = ImportState::queued;
  const Answer answer = sources_.render_accepted(upload.import);
  for (int round = 0; round < completing_rounds_max; ++round) {
    if (key) {
      auto answered = co_await keys_.look_up(context, *key);
      if (!answered || *answered) co_await store_.discard(context, upload.import.id);
      if (!answered) co_return std::unexpected(std::move(answered.error()));
      if (*answered) co_return std::move(**answered);
    }
    const bool queued = co_await store_.queue(context, upload.import.id, fingerprint,
                                              upload.import.byte_count, key, answer);
    if (queued) co_return answer;
  }
  throw Unavailable{"the idempotency key is being used by a twin of this request"};
}

Task<> Imports::discard(Context context, ImportId id) {
  co_await store_.discard(std::move(context), id);
}

Task<Result<ImportReport>> Imports::find(Context context, ImportId id) {
  auto report = co_await store_.find(std::move(context), id);
  if (!report)
    co_return refuse(ErrorKind::not_found, "import_not_found", "there is no such import");
  co_return std::move(*report);
}

Task<Imports::Worked> Imports::work() {
  const Uuid worker = sources_.next_uuid();
  auto import = co_await store_.claim(step_context(), worker);
  if (!import) co_return Worked{};
  Run run{*this, std::move(*import), worker};
  co_return co_await run.go();
}

Task<std::int64_t> Imports::discard_stale(Context context) {
  co_return co_await store_.discard_stale(std::move(context));
}

std::string_view name(ImportState state) {
  switch (state) {
    case ImportState::receiving:
      return "receiving";
    case ImportState::queued:
      return "queued";
    case ImportState::running:
      return "running";
    case ImportState::completed:
      return "completed";
    case ImportState::failed:
      return "failed";
  }
  std::unreachable();
}

}  // namespace stoa::product
