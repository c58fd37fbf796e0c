-- Which version placed it. The one before this knows nothing of the column, and its orders keep the default.
ALTER TABLE orders ADD COLUMN placed_by text NOT NULL DEFAULT 'before';
CREATE INDEX orders_by_placer ON orders (placed_by, id);

CREATE TABLE order_notes (
  order_id uuid PRIMARY KEY REFERENCES orders (id),
  note text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now()
);
