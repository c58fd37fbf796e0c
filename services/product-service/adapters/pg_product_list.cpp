#include "services/product-service/adapters/pg_product_list.hpp"

#include <array>
#include <charconv>
#include <format>
#include <utility>

#include "servicekit/core/require.hpp"

#include "services/product-service/adapters/pg_product_rows.hpp"

namespace stoa::product {
namespace {

using postgres::Param;
using postgres::Query;

constexpr std::int64_t page_rows_max = 101;  // the largest page and one product more
constexpr std::string_view no_id = "00000000-0000-0000-0000-000000000000";
constexpr std::string_view last_id = "ffffffff-ffff-ffff-ffff-ffffffffffff";
// Behind every timestamp that PostgreSQL prints as a number of microseconds here: the year 9999.
constexpr std::string_view last_moment = "253402300799000000";

/// How a sort reads its index: what it sorts by, which way, and what stands before the first page.
struct Order {
  std::string_view key;       ///< of the page's rows, as text
  std::string_view column;    ///< what the index has
  std::string_view from_key;  ///< the cursor's key, $1, as that column's type
  bool ascending;
  std::string_view before_first;
};

Order order_of(Sort sort) {
  constexpr std::string_view created_key = "(extract(epoch FROM p.created_at) * 1000000)::bigint";
  constexpr std::string_view moment = "timestamptz 'epoch' + $1::bigint * interval '1 microsecond'";
  switch (sort) {
    case Sort::newest:
      return {created_key, "p.created_at", moment, false, last_moment};
    case Sort::oldest:
      return {created_key, "p.created_at", moment, true, "-1"};
    case Sort::cheapest:
      return {"a.amount_minor", "a.amount_minor", "$1::bigint", true, "-1"};
    case Sort::dearest:
      return {"a.amount_minor", "a.amount_minor", "$1::bigint", false, "9223372036854775807"};
    case Sort::name:
      return {"p.name", "p.name", "$1::text", true, ""};
    case Sort::name_descending:
      return {"p.name", "p.name", "$1::text", false, "\xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF"};
    case Sort::best:
      return {"p.rank", "p.rank", "$1::bigint", false, "9223372036854775807"};
  }
  std::unreachable();
}

/// Which statement a query needs: a plan for each set of filters, so that each uses its index.
struct Shape {
  Sort sort;
  bool by_category;
  bool by_price;
  int in_stock;  ///< 0 not asked, 1 wanted, 2 unwanted

  std::size_t number() const {
    return ((static_cast<std::size_t>(sort) * 2 + (by_category ? 1 : 0)) * 2 + (by_price ? 1 : 0)) *
               3 +
           static_cast<std::size_t>(in_stock);
  }
  bool sorts_by_price() const { return sort == Sort::cheapest || sort == Sort::dearest; }
};
constexpr std::size_t sort_count = 7;
constexpr std::size_t shape_count = sort_count * 2 * 2 * 3;

Shape shape_of(const ListQuery& query) {
  int in_stock = 0;
  if (query.in_stock) in_stock = *query.in_stock ? 1 : 2;
  return {.sort = query.sort,
          .by_category = query.category.has_value(),
          .by_price = query.price_min.has_value() || query.price_max.has_value(),
          .in_stock = in_stock};
}

/// Parameters of every page before its filters': where it begins, and its limit.
constexpr int page_params = 3;

/// The filters of a shape. Their parameters follow the `parameter` first ones, in the order of
/// filter_params().
std::string filters(const Shape& shape, int parameter) {
  std::string sql;
  if (shape.by_category) sql += std::format(" AND p.category = ${}", ++parameter);
  if (shape.by_price || shape.sorts_by_price()) {
    sql += std::format(" AND a.currency = ${}", ++parameter);
  }
  if (shape.by_price) {
    const int low = ++parameter;
    const int high = ++parameter;
    sql += std::format(" AND a.amount_minor BETWEEN ${}::bigint AND ${}::bigint", low, high);
  }
  if (shape.in_stock != 0) {
    sql += std::format(
        " AND {} (SELECT FROM variants fv JOIN stock fs ON fs.variant_id = fv.id"
        " WHERE fv.product_id = p.id AND fs.on_hand > fs.reserved)",
        shape.in_stock == 1 ? "EXISTS" : "NOT EXISTS");
  }
  return sql;
}

std::vector<Param> filter_params(const ListQuery& query, const Shape& shape) {
  std::vector<Param> params;
  if (shape.by_category) params.emplace_back(*query.category);
  if (shape.by_price || shape.sorts_by_price()) {
    params.emplace_back(std::string{query.currency.code()});
  }
  if (shape.by_price) {
    params.emplace_back(query.price_min.value_or(0));
    params.emplace_back(query.price_max.value_or(Money::wire_max));
  }
  return params;
}

std::string price_join(const Shape& shape) {
  if (!shape.by_price && !shape.sorts_by_price()) return "";
  return "JOIN product_prices a ON a.product_id = p.id";
}

/// The rows of the page's products.
std::string with_variants(std::string_view page, const Order& order) {
  return std::format(
      R"sql({0}
        SELECT {1}, page.key
        FROM page JOIN products p ON p.id = page.id
        JOIN variants v ON v.product_id = p.id
        LEFT JOIN stock s ON s.variant_id = v.id AND s.warehouse = 'main'
        ORDER BY page.place {2}, page.id {2}, v.position
      )sql",
      page, listed_columns, order.ascending ? "ASC" : "DESC");
}

// The limit that the planner sees is a number: of a parameter it would expect a tenth of the table,
// and read all of it.
std::string list_sql(const Shape& shape) {
  const Order order = order_of(shape.sort);
  const std::string_view id = shape.sorts_by_price() ? "a.product_id" : "p.id";
  const std::string page = std::format(
      R"sql(
        WITH page AS (
          SELECT id, key, place FROM (
            SELECT p.id, {0} AS key, {1} AS place
            FROM products p {2}
            WHERE p.status = 'active' AND ({1}, {3}) {4} ({5}, $2::uuid){6}
            ORDER BY {1} {7}, {3} {7} LIMIT {8}
          ) AS bounded
          ORDER BY place {7}, id {7} LIMIT $3::bigint
        ))sql",
      order.key, order.column, price_join(shape), id, order.ascending ? ">" : "<", order.from_key,
      filters(shape, page_params), order.ascending ? "ASC" : "DESC", page_rows_max);
  return with_variants(page, order);
}

// Known words are prefixes ("tea" finds teapots); a word that begins no known word is corrected,
// but never one with a digit: codes and numbers are meant as they are.
std::string hits_sql(const Shape& shape, int params_before) {
  const std::string filter = filters(shape, params_before);
  const int parameter = params_before + 1 + static_cast<int>(std::ranges::count(filter, '$'));
  return std::format(
      R"sql(
        WITH asked AS MATERIALIZED (
          SELECT to_tsquery('simple', string_agg(
            '''' || CASE WHEN word ~ '[0-9]' THEN word ELSE corrected_word(word) END || ''':*',
            ' & ')) AS query
          FROM unnest(${0}::text[]) AS w (word)
        ), hits AS (
          SELECT p.id, (ts_rank(p.search, asked.query) * 1000000)::bigint AS rank
          FROM asked CROSS JOIN products p {1}
          WHERE p.search @@ asked.query AND p.status = 'active'{2}
          LIMIT {3}
        ))sql",
      parameter, price_join(shape), filter, search_hits_max);
}

std::string search_sql(const Shape& shape) {
  const std::string page = hits_sql(shape, page_params) + R"sql(, page AS (
          SELECT p.id, p.rank AS key, p.rank AS place FROM hits p
          WHERE (p.rank, p.id) < ($1::bigint, $2::uuid)
          ORDER BY p.rank DESC, p.id DESC LIMIT $3::bigint
        ))sql";
  return with_variants(page, order_of(Sort::best));
}

/// One more than is counted tells that there are more.
std::string count_sql(const Shape& shape) {
  if (shape.sort == Sort::best) return hits_sql(shape, 0) + " SELECT count(*) FROM hits";
  return std::format(
      "SELECT count(*) FROM (SELECT FROM products p {} WHERE p.status = 'active'{} LIMIT {}) AS n",
      price_join(shape), filters(shape, 0), list_count_limit);
}

Shape shape_numbered(std::size_t number) {
  return {.sort = static_cast<Sort>(number / 12),
          .by_category = number / 6 % 2 == 1,
          .by_price = number / 3 % 2 == 1,
          .in_stock = static_cast<int>(number % 3)};
}

struct Statements {
  std::string page{};
  std::string count{};
};

/// Made once for all: a statement is prepared by the address of its text.
const Statements& statements_of(const Shape& shape) {
  static const auto statements = [] {
    std::array<Statements, shape_count> all;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Shape each = shape_numbered(i);
      require(each.number() == i, "a shape and its number agree");
      all[i] = {.page = each.sort == Sort::best ? search_sql(each) : list_sql(each),
                .count = count_sql(each)};
    }
    return all;
  }();
  return statements[shape.number()];
}

}  // namespace

Query count_products(const ListQuery& query) {
  const Shape shape = shape_of(query);
  std::vector<Param> params = filter_params(query, shape);
  if (query.sort == Sort::best) params.push_back(postgres::array(query.words));
  return {.name = "product.count",
          .read_only = true,
          .sql = statements_of(shape).count,
          .params = std::move(params)};
}

ListTotal read_total(const postgres::Rows& rows, Sort sort) {
  const std::int64_t count = rows.front().number(0);
  if (sort != Sort::best) return ListTotal::of(count);
  return {.count = count, .exact = count < search_hits_max};
}

Query list_products(const ListQuery& query) {
  const Shape shape = shape_of(query);
  const Order order = order_of(query.sort);
  const std::string_view first_id = order.ascending ? no_id : last_id;
  std::vector<Param> params{
      query.after ? query.after->key : std::string{order.before_first},
      query.after ? query.after->id.str() : std::string{first_id},
      query.limit + 1,
  };
  for (Param& param : filter_params(query, shape)) params.push_back(std::move(param));
  if (query.sort == Sort::best) params.push_back(postgres::array(query.words));
  return {.name = query.sort == Sort::best ? "product.search" : "product.list",
          .read_only = true,
          .sql = statements_of(shape).page,
          .params = std::move(params)};
}

ProductPage read_page(const postgres::Rows& rows, std::size_t limit) {
  ProductPage page{.products = read_products(rows, Described::no)};
  if (page.products.size() <= limit) return page;
  page.products.resize(limit);
  const Uuid last = page.products.back().id.uuid;
  for (const postgres::Row row : rows) {
    if (row.uuid(0) != last) continue;
    page.next = PageEnd{.key = std::string{row.text(listed_column_count)}, .id = last};
    break;
  }
  return page;
}

}  // namespace stoa::product
