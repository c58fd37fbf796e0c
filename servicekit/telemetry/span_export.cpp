#include "servicekit/telemetry/span_export.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "servicekit/telemetry/otlp.hpp"
#include "servicekit/telemetry/version.hpp"

namespace stoa::telemetry {

SpanExport::SpanExport(const TelemetryConfig& config, CollectorUrl url, const SpanMeters& meters,
                       SpanExportLimits limits)
    : config_{config}, url_{std::move(url)}, meters_{meters}, limits_{limits}, thread_{[this] {
        run();
      }} {}

SpanExport::~SpanExport() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void SpanExport::add(std::string span) {
  bool is_due = false;
  {
    const std::lock_guard lock{mutex_};
    if (queued_.size() + sending_ >= limits_.queued_max) {
      meters_.dropped.add();
      return;
    }
    queued_.push_back(std::move(span));
    is_due = queued_.size() == 1 || queued_.size() == limits_.batch_max;
  }
  if (is_due) wake_.notify_one();
}

void SpanExport::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock{mutex_};
  urgent_ = true;
  wake_.notify_one();
  sent_.wait_for(lock, timeout, [this] { return queued_.empty() && sending_ == 0; });
  urgent_ = false;
}

void SpanExport::run() {
  std::vector<std::string> batch;
  std::unique_lock lock{mutex_};
  while (true) {
    wake_.wait(lock, [this] { return !queued_.empty() || stopping_; });
    if (stopping_) break;
    wake_.wait_for(lock, limits_.gather_for,
                   [this] { return urgent_ || stopping_ || queued_.size() >= limits_.batch_max; });
    batch.clear();
    std::swap(batch, queued_);
    sending_ = batch.size();
    lock.unlock();
    send(batch);
    lock.lock();
    sending_ = 0;
    if (queued_.empty()) sent_.notify_all();
  }
  meters_.failed.add(queued_.size());
}

void SpanExport::send(const std::vector<std::string>& spans) {
  const otlp::Origin origin{
      .service = config_.service, .instance = config_.instance, .version = version()};
  std::span<const std::string> rest{spans};
  while (!rest.empty()) {
    const auto batch = rest.first(std::min(rest.size(), limits_.batch_max));
    rest = rest.subspan(batch.size());
    const bool taken =
        !stopping_ && post_spans(url_, otlp::export_request(origin, batch),
                                 std::chrono::steady_clock::now() + limits_.request_timeout);
    (taken ? meters_.exported : meters_.failed).add(batch.size());
  }
}

}  // namespace stoa::telemetry
