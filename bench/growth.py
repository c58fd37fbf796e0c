"""More of the same in a shop that runs: products by copying those that are there, orders by buying."""

from __future__ import annotations

import psycopg

from bench.figures import round_seconds
from bench.market import Market
from bench.rows import post_orders, room, wait_until_settled
from tests.under_way import UNDER_WAY

ORDERS_SETTLED_SECONDS = 600
BATCH = 20_000  # products of one transaction

# Copies number :first to :last of a product each: its own id, handle and SKUs, all else as the original has it.
COPY = """
WITH originals AS (
  SELECT p.*, row_number() OVER (ORDER BY p.id) - 1 AS place, count(*) OVER () AS number
  FROM products p WHERE p.status = 'active' AND p.handle NOT LIKE '%%-copy-%%'
), copied AS (
  SELECT o.*, n, gen_random_uuid() AS copy_id
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n JOIN originals o ON o.place = n %% o.number
), made_products AS (
  INSERT INTO products (id, handle, name, description, category, vendor, tags, image_url, status, keywords, version, created_at, updated_at)
  SELECT copy_id, handle || '-copy-' || n, name, description, category, vendor, tags, image_url, status, keywords, version,
         created_at + n * interval '1 microsecond', updated_at FROM copied
  RETURNING id
), copied_variants AS (
  SELECT v.*, c.copy_id, c.n, gen_random_uuid() AS variant_copy
  FROM copied c JOIN variants v ON v.product_id = c.id
), made_variants AS (
  INSERT INTO variants (id, product_id, sku, options, title, position)
  SELECT variant_copy, copy_id, sku || '-copy-' || n, options, title, position FROM copied_variants
), made_prices AS (
  INSERT INTO prices (variant_id, currency, amount_minor)
  SELECT c.variant_copy, p.currency, p.amount_minor FROM copied_variants c JOIN prices p ON p.variant_id = c.id
), made_product_prices AS (
  INSERT INTO product_prices (product_id, currency, amount_minor)
  SELECT c.copy_id, p.currency, p.amount_minor FROM copied c JOIN product_prices p ON p.product_id = c.id
), made_stock AS (
  INSERT INTO stock (variant_id, on_hand) SELECT variant_copy, 1000 FROM copied_variants
)
INSERT INTO stock_movements (variant_id, delta, kind) SELECT variant_copy, 1000, 'initial' FROM copied_variants
"""


def products(market: Market, count: int) -> None:
    """Until there are so many; then as autovacuum would leave them."""
    with psycopg.connect(market.stack.dsn("products", "postgres"), autocommit=True) as db:
        there = db.execute("SELECT count(*) FROM products WHERE status = 'active'").fetchone()[0]
        for first in range(there, count, BATCH):
            # One statement: its parts see the database as it was, so foreign keys are looked at when it ends.
            db.execute(COPY, {"first": first, "last": min(first + BATCH, count) - 1})
        db.execute("VACUUM (ANALYZE)")
    market.write_files()


def orders(market: Market, count: int) -> None:
    """Until so many were placed, all of them paid or ended."""
    seconds = 1
    while (left := count - placed(market)) > 0:
        counted = post_orders(market, seconds)
        wait_until_settled(market.stack, ORDERS_SETTLED_SECONDS)
        a_second = counted["requests"] / counted["seconds"]
        seconds = round_seconds(a_second, min(left, room(market)), 60)
    for database in UNDER_WAY:
        with psycopg.connect(market.stack.dsn(database, "postgres"), autocommit=True) as db:
            db.execute("VACUUM (ANALYZE)")


def placed(market: Market) -> int:
    with psycopg.connect(market.stack.dsn("orders"), autocommit=True) as db:
        return db.execute("SELECT count(*) FROM orders").fetchone()[0]
