-- Both are trusted extensions; an installation whose migration role may not create them has them
-- already (deploy/postgres/bootstrap.sql).
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

CREATE TABLE products (
  id          uuid PRIMARY KEY,
  handle      text NOT NULL UNIQUE,
  name        text NOT NULL,
  description text NOT NULL DEFAULT '',
  category    text,
  vendor      text,
  tags        text NOT NULL DEFAULT '[]',  -- JSON array of strings, kept as text in its order
  image_url   text,
  status      text NOT NULL CHECK (status IN ('active', 'draft', 'archived')),
  -- What else a buyer may type to find it: tags, option values, SKUs.
  keywords    text NOT NULL DEFAULT '',
  version     bigint NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  -- 'simple': the language of a shop is not known, and a stemmer of the wrong one loses words.
  search      tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', name), 'A') ||
    setweight(to_tsvector('simple', coalesce(category, '') || ' ' || coalesce(vendor, '') || ' ' || keywords), 'B') ||
    setweight(to_tsvector('simple', left(description, 20000)), 'D')) STORED
);
-- One index for each order of the public list; drafts and archived products are in none.
CREATE INDEX products_by_created ON products (created_at, id) WHERE status = 'active';
CREATE INDEX products_by_name ON products (name, id) WHERE status = 'active';
CREATE INDEX products_by_category ON products (category, created_at, id) WHERE status = 'active';
CREATE INDEX products_by_search ON products USING gin (search) WITH (fastupdate = off);

CREATE TABLE variants (
  id         uuid PRIMARY KEY,
  product_id uuid NOT NULL REFERENCES products,
  sku        text NOT NULL UNIQUE,
  options    jsonb NOT NULL DEFAULT '{}',
  title      text NOT NULL DEFAULT '',  -- "M / Red", empty for the only variant
  position   integer NOT NULL,
  -- Deferred: one statement may swap the options of two variants.
  CONSTRAINT variants_differ UNIQUE (product_id, options) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE prices (
  variant_id   uuid NOT NULL REFERENCES variants,
  currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 9007199254740991),
  PRIMARY KEY (variant_id, currency)
);

-- The lowest price of a product in a currency: what a list filters and sorts by. Written with the
-- prices, in their transaction.
CREATE TABLE product_prices (
  product_id   uuid NOT NULL REFERENCES products,
  currency     text NOT NULL,
  amount_minor bigint NOT NULL,
  PRIMARY KEY (product_id, currency)
);
CREATE INDEX product_prices_by_amount ON product_prices (currency, amount_minor, product_id);

-- Every word of names, categories, vendors and keywords: what a mistyped word is corrected to.
CREATE TABLE search_words (
  word text COLLATE "C" PRIMARY KEY
);
CREATE INDEX search_words_by_trigram ON search_words USING gin (word gin_trgm_ops);

-- The word itself when some known word begins with it, else the nearest known one: at most one
-- mistake in four letters, two beyond seven. Its threshold is low because a swap of two letters
-- leaves few trigrams; the edit distance decides.
CREATE FUNCTION corrected_word(wanted text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET pg_trgm.similarity_threshold = 0.15 AS $$
  SELECT coalesce(
    (SELECT wanted FROM search_words
     WHERE word >= wanted AND word < wanted || chr(1114111) LIMIT 1),
    (SELECT word FROM search_words
     WHERE word % wanted AND length(wanted) >= 4
       AND levenshtein_less_equal(word, wanted, 2) <= CASE WHEN length(wanted) > 4 THEN 2 ELSE 1 END
     ORDER BY levenshtein_less_equal(word, wanted, 2), similarity(word, wanted) DESC, word LIMIT 1),
    wanted)
$$;
