#include "services/product-service/adapters/list_query.hpp"

#include <array>
#include <format>
#include <utility>

#include "servicekit/http/list_total.hpp"

namespace stoa::product {
namespace {

constexpr std::size_t word_bytes_max = 40;

std::unexpected<Error> bad_parameter(std::string detail) {
  return refuse(ErrorKind::malformed, "bad_parameter", std::move(detail));
}

constexpr std::array sorts = std::to_array<std::pair<std::string_view, Sort>>({
    {"-created_at", Sort::newest},
    {"created_at", Sort::oldest},
    {"price", Sort::cheapest},
    {"-price", Sort::dearest},
    {"name", Sort::name},
    {"-name", Sort::name_descending},
});

Result<Sort> parse_sort(const http::QueryString& parameters) {
  const auto text = parameters.text("sort");
  if (!text) return parameters.text("q") ? Sort::best : Sort::newest;
  if (parameters.text("q")) return bad_parameter("a search is sorted by how well it matches");
  for (const auto& [name, sort] : sorts) {
    if (name == *text) return sort;
  }
  return bad_parameter("sort is created_at, price or name, with '-' for descending");
}

Result<Currency> parse_currency(const http::QueryString& parameters, Currency fallback) {
  const auto text = parameters.text("currency");
  if (!text) return fallback;
  const auto currency = Currency::parse(*text);
  if (!currency) return bad_parameter("currency is a code of ISO 4217");
  return *currency;
}

/// Everything that makes this list another one than the next.
std::string name_of(const ListQuery& query, std::string_view q, std::string_view category) {
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : std::string{};
  };
  std::string in_stock;
  if (query.in_stock) in_stock = *query.in_stock ? "true" : "false";
  return std::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", static_cast<int>(query.sort), q, category,
                     query.currency.code(), number(query.price_min), number(query.price_max),
                     in_stock);
}

Result<void> read_filters(const http::QueryString& parameters, ListQuery& query) {
  const auto low = parameters.number("price[gte]", 0, Money::wire_max);
  if (!low) return std::unexpected(low.error());
  const auto high = parameters.number("price[lte]", 0, Money::wire_max);
  if (!high) return std::unexpected(high.error());
  const auto in_stock = parameters.flag("in_stock");
  if (!in_stock) return std::unexpected(in_stock.error());
  const auto limit = parameters.number("limit", 1, page_limit_max);
  if (!limit) return std::unexpected(limit.error());
  query.price_min = *low;
  query.price_max = *high;
  query.in_stock = *in_stock;
  query.limit = limit->value_or(page_limit_default);
  if (const auto category = parameters.text("category")) {
    if (category->size() > label_bytes_max) return bad_parameter("category has at most 255 bytes");
    query.category = std::string{*category};
  }
  const auto total = http::wants_total(parameters);
  if (!total) return std::unexpected(total.error());
  query.with_total = *total;
  return {};
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && words.size() < search_words_max) words.push_back(std::move(word));
    word.clear();
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool upper = c >= 'A' && c <= 'Z';
    const bool kept = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || byte >= 0x80;
    if (!kept) {
      end_word();
    } else if (word.size() < word_bytes_max || byte >= 0x80) {
      word += upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  end_word();
  return words;
}

Result<NamedListQuery> parse_list_query(const http::Request& request, const Cursors& cursors,
                                        Currency default_currency) {
  const auto parameters = http::QueryString::parse(
      request, {"q", "category", "currency", "price[gte]", "price[lte]", "in_stock", "sort",
                "limit", "cursor", http::include_total});
  if (!parameters) return std::unexpected(parameters.error());
  const auto sort = parse_sort(*parameters);
  if (!sort) return std::unexpected(sort.error());
  const auto currency = parse_currency(*parameters, default_currency);
  if (!currency) return std::unexpected(currency.error());

  NamedListQuery named{.query = {.currency = *currency, .sort = *sort}, .name = {}};
  if (auto read = read_filters(*parameters, named.query); !read) {
    return std::unexpected(std::move(read.error()));
  }
  const std::string_view q = parameters->text("q").value_or("");
  if (q.size() > search_bytes_max) return bad_parameter("q has at most 200 bytes");
  named.query.words = words_of(q);
  named.finds_nothing = *sort == Sort::best && named.query.words.empty();
  named.name = name_of(named.query, q, named.query.category.value_or(""));

  if (const auto cursor = parameters->text("cursor")) {
    auto end = cursors.verify(named.name, *cursor);
    if (!end) return std::unexpected(std::move(end.error()));
    named.query.after = std::move(*end);
  }
  return named;
}

}  // namespace stoa::product
