#include "servicekit/runtime/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <format>
#include <fstream>
#include <iterator>
#include <ranges>
#include <utility>

#include <unistd.h>

#include "servicekit/runtime/mutant.hpp"

namespace stoa::runtime {
namespace {

constexpr std::string_view prefix = "STOA_";
constexpr std::size_t secret_bytes_max = 64 * 1024;

// Read by the tools around a service, by a crash point at the moment it is passed, or (the version)
// set by the image and told by telemetry.
constexpr std::array<std::string_view, 4> not_for_services{"STOA_CRASH_AT", "STOA_IN_ROOT",
                                                           "STOA_CACHE", "STOA_VERSION"};

std::optional<std::string> from_process(const std::string& name) {
  // Called while the process has one thread: nobody changes the environment meanwhile.
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr) return std::nullopt;
  return std::string{value};
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool is_address(std::string_view entry) {
  const std::size_t colon = entry.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || entry.contains('/')) return false;
  const auto port = parse<std::uint16_t>(entry.substr(colon + 1));
  return port.has_value() && *port > 0;
}

/// A value of a libpq connection string in single quotes (libpq, "Connection Strings").
std::string libpq_quoted(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string joined(const std::vector<std::string>& problems) {
  std::string all = "the configuration is wrong:";
  for (const std::string& problem : problems) all += "\n  " + problem;
  return all;
}

}  // namespace

ConfigurationError::ConfigurationError(std::vector<std::string> problems)
    : std::runtime_error{joined(problems)}, problems_{std::move(problems)} {}

Environment::Environment(Get get)
    : is_process_environment_{!get}, get_{get ? std::move(get) : Get{from_process}} {}

void Environment::complain(std::string_view name, std::string_view what) {
  problems_.push_back(std::format("{} {}", name, what));
}

void Environment::demand(bool is_valid, std::string_view name, std::string_view what) {
  if (!is_valid) complain(name, what);
}

std::optional<std::string> Environment::look_up(std::string_view name) {
  read_.emplace_back(name);
  std::optional<std::string> value = get_(read_.back());
  if (value && value->empty()) value.reset();
  return value;
}

std::optional<std::string> Environment::look_up_file(std::string_view name) {
  const std::string file_name = std::string{name} + "_FILE";
  const auto path = look_up(file_name);
  if (!path) return std::nullopt;
  std::ifstream file{*path, std::ios::binary};
  std::string content(secret_bytes_max + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > secret_bytes_max) complain(file_name, "names a file that is too large");
  if (content.ends_with('\n')) content.pop_back();
  if (content.ends_with('\r')) content.pop_back();
  if (content.empty()) complain(file_name, "names a file that is empty or cannot be read");
  return content;
}

std::string Environment::text(std::string_view name, std::optional<std::string> fallback) {
  if (auto value = look_up(name)) return *std::move(value);
  if (!fallback) complain(name, "is required");
  return std::move(fallback).value_or("");
}

std::string Environment::one_of(std::string_view name, std::string_view fallback,
                                std::initializer_list<std::string_view> choices) {
  std::string value = text(name, std::string{fallback});
  if (std::ranges::contains(choices, value)) return value;
  std::string list;
  for (const std::string_view choice : choices) list += std::format(" {}", choice);
  complain(name, "must be one of:" + list);
  return std::string{fallback};
}

std::int64_t Environment::number(std::string_view name, std::int64_t fallback, std::int64_t min,
                                 std::int64_t max) {
  const auto value = look_up(name);
  if (!value) return fallback;
  const auto number = parse<std::int64_t>(*value);
  if (number && *number >= min && *number <= max) return *number;
  complain(name, std::format("must be a whole number from {} to {}", min, max));
  return fallback;
}

double Environment::ratio(std::string_view name, double fallback) {
  const auto value = look_up(name);
  if (!value) return fallback;
  const auto number = parse<double>(*value);
  if (number && *number >= 0 && *number <= 1) return *number;
  complain(name, "must be a number from 0 to 1");
  return fallback;
}

bool Environment::flag(std::string_view name, bool fallback) {
  const auto value = look_up(name);
  if (!value) return fallback;
  if (*value != "true" && *value != "false") complain(name, "must be true or false");
  return *value == "true";
}

std::chrono::milliseconds Environment::milliseconds(std::string_view name,
                                                    std::chrono::milliseconds fallback,
                                                    std::chrono::milliseconds min,
                                                    std::chrono::milliseconds max) {
  const std::int64_t unit = name.ends_with("_SECONDS") ? 1'000 : 1;
  demand(unit == 1'000 || name.ends_with("_MS"), name, "must end in its unit, _MS or _SECONDS");
  return std::chrono::milliseconds{
      unit * number(name, fallback.count() / unit, min.count() / unit, max.count() / unit)};
}

std::vector<std::string> Environment::list(std::string_view name,
                                           std::optional<std::string> fallback) {
  std::vector<std::string> entries;
  for (const auto piece : std::views::split(text(name, std::move(fallback)), ',')) {
    const std::string_view entry = trimmed(std::string_view{piece});
    if (!entry.empty()) entries.emplace_back(entry);
  }
  return entries;
}

std::vector<std::string> Environment::addresses(std::string_view name,
                                                std::optional<std::string> fallback) {
  std::vector<std::string> entries = list(name, std::move(fallback));
  for (const std::string& entry : entries) {
    demand(is_address(entry), name, std::format("must be host:port, got \"{}\"", entry));
  }
  return entries;
}

std::optional<Secret<>> Environment::optional_secret(std::string_view name) {
  auto from_file = look_up_file(name);
  auto from_text = look_up(name);
  if (from_file) return Secret<>{*std::move(from_file)};
  if (from_text) return Secret<>{*std::move(from_text)};
  return std::nullopt;
}

Secret<> Environment::secret(std::string_view name) {
  if (auto value = optional_secret(name)) return *std::move(value);
  complain(name, "is required (or its file by " + std::string{name} + "_FILE)");
  return {};
}

Secret<> Environment::dsn(std::string_view name) {
  const std::string dsn_name = std::string{name} + "_DSN";
  const std::string dsn = text(dsn_name);
  demand(!dsn.starts_with("postgres"), dsn_name,
         "must be libpq keywords (host=… dbname=…), not an URI");
  demand(!dsn.contains("password"), dsn_name,
         "must not hold a password: that is " + std::string{name} + "_PASSWORD_FILE");
  const auto password = optional_secret(std::string{name} + "_PASSWORD");
  if (!password) return Secret<>{dsn};
  return Secret<>{dsn + " password=" + libpq_quoted(password->reveal())};
}

std::vector<std::string> Environment::unknown_names() const {
  std::vector<std::string> names;
  if (!is_process_environment_) return names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line{*entry};
    const std::string name{line.substr(0, line.find('='))};
    if (!name.starts_with(prefix) || std::ranges::contains(not_for_services, name)) continue;
    if (name == mutant_setting) continue;  // judged by itself
    if (!std::ranges::contains(read_, name)) names.push_back(name);
  }
  return names;
}

void Environment::check() const {
  std::vector<std::string> all = problems_;
  for (const std::string& name : unknown_names()) {
    all.push_back(name + " is not a setting of this service");
  }
  if (auto wrong = wrong_mutant()) all.push_back(*std::move(wrong));
  if (!all.empty()) throw ConfigurationError{std::move(all)};
}

void Environment::check_read() const {
  if (!problems_.empty()) throw ConfigurationError{problems_};
}

}  // namespace stoa::runtime
