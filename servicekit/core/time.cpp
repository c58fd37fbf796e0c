#include "servicekit/core/time.hpp"

#include <charconv>
#include <cstdio>

namespace stoa {
namespace {

std::optional<int> digits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string rfc3339(Instant instant) {
  using namespace std::chrono;
  const auto day = floor<days>(instant);
  const year_month_day date{day};
  const hh_mm_ss clock{instant - day};
  // snprintf, not std::format: this runs for every row of every list.
  char text[32];
  const int length = std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text, static_cast<std::size_t>(length)};
}

std::optional<Instant> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || text[19] != '.' || text[23] != 'Z') {
    return std::nullopt;
  }
  const auto y = digits(text.substr(0, 4));
  const auto mo = digits(text.substr(5, 2));
  const auto d = digits(text.substr(8, 2));
  const auto h = digits(text.substr(11, 2));
  const auto mi = digits(text.substr(14, 2));
  const auto s = digits(text.substr(17, 2));
  const auto ms = digits(text.substr(20, 3));
  if (!y || !mo || !d || !h || !mi || !s || !ms) return std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*mo)},
                            day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *h > 23 || *mi > 59 || *s > 59) return std::nullopt;
  return Instant{sys_days{date} + hours{*h} + minutes{*mi} + seconds{*s} + milliseconds{*ms}};
}

}  // namespace stoa
