#include "servicekit/messaging/detail/envelope.hpp"

#include <charconv>
#include <cstdlib>
#include <memory>

#include <yyjson.h>

#include "servicekit/core/time.hpp"
#include "servicekit/core/type_id.hpp"
#include "servicekit/json/json.hpp"

namespace stoa::messaging::detail {
namespace {

constexpr std::string_view specification = "1.0";

struct FreeDocument {
  void operator()(yyjson_doc* document) const { yyjson_doc_free(document); }
};

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += '"';
  out += name;
  out += "\":";
  json::append_quoted(out, value);
  out += ',';
}

std::string_view text_member(yyjson_val* object, const char* name) {
  yyjson_val* value = yyjson_obj_get(object, name);
  if (!yyjson_is_str(value)) return {};
  return {yyjson_get_str(value), yyjson_get_len(value)};
}

// "order.placed.v1" → "order.placed" and 1.
std::optional<std::pair<std::string_view, int>> split_type(std::string_view type) {
  const auto at = type.rfind(".v");
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  int version = 0;
  const char* end = type.data() + type.size();
  const auto [stop, error] = std::from_chars(type.data() + at + 2, end, version);
  if (error != std::errc{} || stop != end || version < 1) return std::nullopt;
  return std::pair{type.substr(0, at), version};
}

std::optional<std::string> data_text(yyjson_val* object) {
  yyjson_val* data = yyjson_obj_get(object, "data");
  if (!yyjson_is_obj(data)) return std::nullopt;
  std::size_t size = 0;
  const std::unique_ptr<char, decltype(&std::free)> text{yyjson_val_write(data, 0, &size),
                                                         &std::free};
  if (!text) return std::nullopt;
  return std::string{text.get(), size};
}

}  // namespace

std::string write_envelope(const Event& event) {
  std::string out;
  out.reserve(512 + event.data.size());
  out += '{';
  append_member(out, "specversion", specification);
  append_member(out, "id", EventId{event.id}.str());
  append_member(out, "source", event.source);
  append_member(out, "type", event.type + ".v" + std::to_string(event.version));
  append_member(out, "time", rfc3339(event.time));
  append_member(out, "subject", event.subject);
  append_member(out, "datacontenttype", "application/json");
  append_member(out, "dataschema", "https://stoa.example/contracts/events/" + event.type + ".json");
  if (event.trace.valid()) append_member(out, "traceparent", event.trace.traceparent());
  out += "\"aggregateversion\":";
  out += std::to_string(event.aggregate_version);
  out += ",\"data\":";
  out += event.data;
  out += '}';
  return out;
}

std::expected<Event, std::string> read_envelope(std::string_view text) {
  const std::unique_ptr<yyjson_doc, FreeDocument> document{
      yyjson_read(text.data(), text.size(), YYJSON_READ_NOFLAG)};
  yyjson_val* root = document ? yyjson_doc_get_root(document.get()) : nullptr;
  if (!yyjson_is_obj(root)) return std::unexpected("not a JSON object");
  if (text_member(root, "specversion") != specification) {
    return std::unexpected("not a CloudEvents 1.0 envelope");
  }
  const auto type = split_type(text_member(root, "type"));
  if (!type) return std::unexpected("type is not <name>.v<number>");
  if (type->second != envelope_version) {
    return std::unexpected("unknown version " + std::to_string(type->second));
  }
  const auto id = EventId::parse(text_member(root, "id"));
  if (!id) return std::unexpected("id is not an event id");
  const auto time = parse_rfc3339(text_member(root, "time"));
  if (!time) return std::unexpected("time is not RFC 3339 in UTC with milliseconds");
  auto data = data_text(root);
  if (!data) return std::unexpected("data is not an object");

  yyjson_val* aggregate_version = yyjson_obj_get(root, "aggregateversion");
  return Event{
      .id = id->uuid,
      .source = std::string{text_member(root, "source")},
      .type = std::string{type->first},
      .version = type->second,
      .subject = std::string{text_member(root, "subject")},
      .aggregate_version = yyjson_get_sint(aggregate_version),
      .time = *time,
      .data = std::move(*data),
      .trace = TraceContext::parse(text_member(root, "traceparent")).value_or(TraceContext{})};
}

}  // namespace stoa::messaging::detail
