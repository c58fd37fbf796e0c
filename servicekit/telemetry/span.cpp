#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <sys/random.h>

#include "servicekit/core/require.hpp"
#include "servicekit/telemetry/otlp.hpp"
#include "servicekit/telemetry/telemetry_impl.hpp"

namespace stoa::telemetry {
namespace {

/// Random bytes, drawn from the kernel 256 at a time: a system call for each id would cost more
/// than the rest of an unsampled span.
void fill_random(std::span<std::uint8_t> bytes) {
  thread_local std::array<std::uint8_t, 256> pool;  // used between two suspensions only
  thread_local std::size_t used = pool.size();
  if (pool.size() - used < bytes.size()) {
    require(::getrandom(pool.data(), pool.size(), 0) == static_cast<ssize_t>(pool.size()),
            "the kernel gives 256 random bytes at once");
    used = 0;
  }
  std::copy_n(pool.begin() + static_cast<std::ptrdiff_t>(used), bytes.size(), bytes.begin());
  used += bytes.size();
}

TraceContext new_trace(const TraceRatio& ratio) {
  TraceContext context;
  fill_random(context.trace_id);
  fill_random(context.span_id);
  context.sampled = ratio.samples(context.trace_id);
  return context;
}

}  // namespace

struct Span::Recording {
  SpanExport& to;
  otlp::SpanMessage message;
  // A span lasts as long as the monotonic clock says, whatever is done to the system's.
  otlp::UnixNanoseconds started_at;
  std::chrono::steady_clock::time_point started;
};

Span::Span(Span&& other) noexcept = default;

Span::~Span() {
  if (!recording_) return;
  const auto took = std::chrono::steady_clock::now() - recording_->started;
  recording_->to.add(std::move(recording_->message).end(recording_->started_at + took));
}

void Span::set(std::string_view name, Value value) {
  if (recording_) recording_->message.attribute(name, value);
}

void Span::fail(std::string_view why) {
  if (recording_) recording_->message.fail(why);
}

Span Telemetry::span(const TraceContext& parent, std::string_view name, SpanKind kind) {
  Span span;
  span.context_ = parent.valid() ? parent : new_trace(impl_->ratio);
  // Without a collector the sampled flag still travels on, for those who have one.
  if (!span.context_.sampled || !impl_->spans) return span;
  if (parent.valid()) fill_random(span.context_.span_id);
  const otlp::UnixNanoseconds now = std::chrono::system_clock::now();
  span.recording_ = std::make_unique<Span::Recording>(Span::Recording{
      .to = *impl_->spans,
      .message =
          otlp::SpanMessage{{.context = span.context_,
                             .parent = parent.valid() ? parent.span_id : decltype(parent.span_id){},
                             .name = name,
                             .kind = kind,
                             .at = now}},
      .started_at = now,
      .started = std::chrono::steady_clock::now()});
  return span;
}

}  // namespace stoa::telemetry
