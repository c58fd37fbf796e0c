#include "services/product-service/adapters/pg_product_writes.hpp"

#include <algorithm>
#include <utility>

#include "servicekit/json/json.hpp"

#include "services/product-service/adapters/product_events.hpp"

namespace stoa::product {
namespace {

using postgres::Param;
using postgres::Query;
using Kind = PlannedProduct::Kind;
using Texts = std::vector<std::string>;
using OptionalTexts = std::vector<std::optional<std::string>>;

// Any number that no other lock of this database has.
constexpr std::int64_t catalogue_lock = 7'468'097'001;

bool is_new(const PlannedProduct& planned, VariantId id) {
  return std::ranges::contains(planned.new_variants, id);
}

/// Products as parallel arrays, for unnest.
std::vector<Param> product_arrays(const std::vector<const PlannedProduct*>& products) {
  std::vector<Uuid> ids;
  Texts handles, names, descriptions, tags, statuses, keywords, created, updated;
  OptionalTexts categories, vendors, images;
  std::vector<std::int64_t> versions;
  for (const PlannedProduct* planned : products) {
    const Product& product = planned->product;
    ids.push_back(product.id.uuid);
    handles.push_back(product.handle);
    names.push_back(product.name);
    descriptions.push_back(product.description);
    categories.push_back(product.category);
    vendors.push_back(product.vendor);
    tags.push_back(json::write(product.tags));
    images.push_back(product.image_url);
    statuses.emplace_back(name(product.status));
    keywords.push_back(keywords_of(product));
    versions.push_back(product.version);
    created.push_back(rfc3339(product.created_at));
    updated.push_back(rfc3339(product.updated_at));
  }
  using postgres::array;
  return {array(ids),      array(handles), array(names),  array(descriptions), array(categories),
          array(vendors),  array(tags),    array(images), array(statuses),     array(keywords),
          array(versions), array(created), array(updated)};
}

Query insert_products(const std::vector<const PlannedProduct*>& products) {
  return {
      .name = "product.insert",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO products (id, handle, name, description, category, vendor, tags, image_url,
                              status, keywords, version, created_at, updated_at)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                             $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                             $11::bigint[], $12::timestamptz[], $13::timestamptz[])
      )sql",
      .params = product_arrays(products),
  };
}

Query update_products(const std::vector<const PlannedProduct*>& products) {
  return {
      .name = "product.update",
      .read_only = false,
      .sql = R"sql(
        UPDATE products p
        SET handle = n.handle, name = n.name, description = n.description, category = n.category,
            vendor = n.vendor, tags = n.tags, image_url = n.image_url, status = n.status,
            keywords = n.keywords, version = n.version, updated_at = n.updated_at
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[],
                    $12::timestamptz[], $13::timestamptz[])
             AS n (id, handle, name, description, category, vendor, tags, image_url, status,
                   keywords, version, created_at, updated_at)
        WHERE p.id = n.id
      )sql",
      .params = product_arrays(products),
  };
}

/// Variants as parallel arrays, the new ones or the others.
std::vector<Param> variant_arrays(const std::vector<const PlannedProduct*>& products, bool added) {
  std::vector<Uuid> ids, product_ids;
  Texts skus, options, titles;
  std::vector<std::int64_t> positions;
  for (const PlannedProduct* planned : products) {
    std::int64_t position = 0;
    for (const Variant& variant : planned->product.variants) {
      const std::int64_t at = position++;
      if (is_new(*planned, variant.id) != added) continue;
      ids.push_back(variant.id.uuid);
      product_ids.push_back(planned->product.id.uuid);
      skus.push_back(variant.sku);
      options.push_back(json::write(variant.options));
      titles.push_back(variant.title);
      positions.push_back(at);
    }
  }
  using postgres::array;
  return {array(ids),     array(product_ids), array(skus),
          array(options), array(titles),      array(positions)};
}

Query insert_variants(const std::vector<const PlannedProduct*>& products) {
  return {
      .name = "variant.insert",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO variants (id, product_id, sku, options, title, position)
        SELECT id, product_id, sku, options::jsonb, title, position
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             AS n (id, product_id, sku, options, title, position)
      )sql",
      .params = variant_arrays(products, true),
  };
}

Query update_variants(const std::vector<const PlannedProduct*>& products) {
  return {
      .name = "variant.update",
      .read_only = false,
      .sql = R"sql(
        UPDATE variants v SET sku = n.sku, options = n.options::jsonb, title = n.title
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             AS n (id, product_id, sku, options, title, position)
        WHERE v.id = n.id AND (v.sku, v.options, v.title) <> (n.sku, n.options::jsonb, n.title)
      )sql",
      .params = variant_arrays(products, false),
  };
}

Query write_prices(const std::vector<const PlannedProduct*>& products) {
  std::vector<Uuid> variants;
  Texts currencies;
  std::vector<std::int64_t> amounts;
  for (const PlannedProduct* planned : products) {
    for (const Variant& variant : planned->product.variants) {
      for (const Money& price : variant.prices) {
        variants.push_back(variant.id.uuid);
        currencies.emplace_back(price.currency().code());
        amounts.push_back(price.minor_units());
      }
    }
  }
  return {
      .name = "price.write",
      .read_only = false,
      .sql = R"sql(
        WITH wanted AS (
          SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
                        AS n (variant_id, currency, amount_minor)
        ), gone AS (
          DELETE FROM prices p
          WHERE p.variant_id = ANY($1::uuid[]) AND NOT EXISTS (
            SELECT FROM wanted w WHERE w.variant_id = p.variant_id AND w.currency = p.currency)
        )
        INSERT INTO prices AS p (variant_id, currency, amount_minor) SELECT * FROM wanted
        ON CONFLICT (variant_id, currency) DO UPDATE SET amount_minor = excluded.amount_minor
          WHERE p.amount_minor <> excluded.amount_minor
      )sql",
      .params = {postgres::array(variants), postgres::array(currencies), postgres::array(amounts)},
  };
}

Query write_lowest_prices(const std::vector<const PlannedProduct*>& products) {
  std::vector<Uuid> ids;
  Texts currencies;
  std::vector<std::int64_t> amounts;
  for (const PlannedProduct* planned : products) {
    for (const Money& price : lowest_prices(planned->product)) {
      ids.push_back(planned->product.id.uuid);
      currencies.emplace_back(price.currency().code());
      amounts.push_back(price.minor_units());
    }
  }
  return {
      .name = "price.write_lowest",
      .read_only = false,
      .sql = R"sql(
        WITH wanted AS (
          SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
                        AS n (product_id, currency, amount_minor)
        ), gone AS (
          DELETE FROM product_prices p
          WHERE p.product_id = ANY($1::uuid[]) AND NOT EXISTS (
            SELECT FROM wanted w WHERE w.product_id = p.product_id AND w.currency = p.currency)
        )
        INSERT INTO product_prices AS p (product_id, currency, amount_minor) SELECT * FROM wanted
        ON CONFLICT (product_id, currency) DO UPDATE SET amount_minor = excluded.amount_minor
          WHERE p.amount_minor <> excluded.amount_minor
      )sql",
      .params = {postgres::array(ids), postgres::array(currencies), postgres::array(amounts)},
  };
}

Query insert_stock(const std::vector<const PlannedProduct*>& products, const StockOrigin& origin) {
  std::vector<Uuid> variants;
  std::vector<std::int64_t> on_hand;
  for (const PlannedProduct* planned : products) {
    for (const NewStock& stock : planned->new_stock) {
      variants.push_back(stock.variant.uuid);
      on_hand.push_back(stock.on_hand);
    }
  }
  return {
      .name = "stock.insert",
      .read_only = false,
      .sql = R"sql(
        WITH wanted AS (
          SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS n (variant_id, on_hand)
        ), journal AS (
          INSERT INTO stock_movements (variant_id, delta, kind, actor, import_id)
          SELECT variant_id, on_hand, $3, $4, $5::uuid FROM wanted WHERE on_hand <> 0
        )
        INSERT INTO stock (variant_id, on_hand) SELECT variant_id, on_hand FROM wanted
      )sql",
      .params = {postgres::array(variants), postgres::array(on_hand), std::string{origin.kind},
                 origin.actor,
                 origin.import_id ? postgres::param(*origin.import_id) : Param{nullptr}},
  };
}

/// The variants were locked when the changes were planned.
Query change_stock(const std::vector<const PlannedProduct*>& products, const StockOrigin& origin) {
  std::vector<Uuid> variants;
  std::vector<std::int64_t> deltas;
  for (const PlannedProduct* planned : products) {
    for (const StockChange& change : planned->stock_changes) {
      variants.push_back(change.variant.uuid);
      deltas.push_back(change.delta);
    }
  }
  return {
      .name = "stock.change",
      .read_only = false,
      .sql = R"sql(
        WITH changed AS (
          UPDATE stock s SET on_hand = s.on_hand + n.delta, version = s.version + 1
          FROM unnest($1::uuid[], $2::bigint[]) AS n (variant_id, delta)
          WHERE s.variant_id = n.variant_id AND s.warehouse = 'main'
          RETURNING s.variant_id, n.delta
        )
        INSERT INTO stock_movements (variant_id, delta, kind, actor, import_id)
        SELECT variant_id, delta, $3, $4, $5::uuid FROM changed
      )sql",
      .params = {postgres::array(variants), postgres::array(deltas), std::string{origin.kind},
                 origin.actor,
                 origin.import_id ? postgres::param(*origin.import_id) : Param{nullptr}},
  };
}

// Words of the long description are found, but nothing is corrected to them: most are no names.
Query learn_words(const std::vector<const PlannedProduct*>& products) {
  std::vector<Uuid> ids;
  ids.reserve(products.size());
  for (const PlannedProduct* planned : products) ids.push_back(planned->product.id.uuid);
  return {
      .name = "search.learn_words",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO search_words (word)
        SELECT DISTINCT word
        FROM products p, unnest(tsvector_to_array(ts_filter(p.search, '{a,b}'))) AS w (word)
        WHERE p.id = ANY($1::uuid[]) AND word ~ '^[[:alpha:]]{3,40}$'
        ON CONFLICT (word) DO NOTHING
      )sql",
      .params = {postgres::array(ids)},
  };
}

Query tell_updated(const std::vector<const PlannedProduct*>& products,
                   const std::vector<Uuid>& event_ids,
                   const std::optional<std::string>& traceparent) {
  Texts subjects, data;
  std::vector<std::int64_t> versions;
  for (const PlannedProduct* planned : products) {
    subjects.push_back(planned->product.id.str());
    versions.push_back(planned->product.version);
    data.push_back(product_updated(planned->product.id));
  }
  const std::vector<Uuid> ids(event_ids.begin(),
                              event_ids.begin() + static_cast<std::ptrdiff_t>(products.size()));
  return {
      .name = "product.tell_updated",
      .read_only = false,
      .sql = R"sql(
        INSERT INTO outbox (id, type, subject, aggregate_version, data, traceparent)
        SELECT n.id, $5, n.subject, n.version, n.data::jsonb, $6
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[])
             AS n (id, subject, version, data)
      )sql",
      .params = {postgres::array(ids), postgres::array(subjects), postgres::array(versions),
                 postgres::array(data), std::string{product_updated_type},
                 postgres::param(traceparent)},
  };
}

}  // namespace

Query lock_catalogue() {
  return {.name = "catalogue.lock",
          .read_only = false,
          .sql = "SELECT pg_advisory_xact_lock($1::bigint)",
          .params = {catalogue_lock}};
}

Query find_sku_owners(const std::vector<std::string>& skus) {
  return {.name = "variant.find_sku_owners",
          .read_only = false,
          .sql = "SELECT sku, product_id FROM variants WHERE sku = ANY($1::text[])",
          .params = {postgres::array(skus)}};
}

std::vector<Query> write_products(const std::vector<PlannedProduct>& planned,
                                  const StockOrigin& origin, const std::vector<Uuid>& event_ids,
                                  const std::optional<std::string>& traceparent) {
  std::vector<const PlannedProduct*> changed, created, updated;
  bool adds_variants = false;
  bool changes_stock = false;
  for (const PlannedProduct& product : planned) {
    if (product.kind == Kind::unchanged) continue;
    changed.push_back(&product);
    (product.kind == Kind::created ? created : updated).push_back(&product);
    adds_variants = adds_variants || !product.new_variants.empty();
    changes_stock = changes_stock || !product.stock_changes.empty();
  }
  std::vector<Query> writes;
  if (changed.empty()) return writes;
  if (!created.empty()) writes.push_back(insert_products(created));
  if (!updated.empty()) {
    writes.push_back(update_products(updated));
    writes.push_back(update_variants(updated));
  }
  if (adds_variants) {
    writes.push_back(insert_variants(changed));
    writes.push_back(insert_stock(changed, origin));
  }
  writes.push_back(write_prices(changed));
  writes.push_back(write_lowest_prices(changed));
  if (changes_stock) writes.push_back(change_stock(changed, origin));
  writes.push_back(learn_words(changed));
  writes.push_back(tell_updated(changed, event_ids, traceparent));
  return writes;
}

}  // namespace stoa::product
