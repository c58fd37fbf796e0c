CREATE TABLE warehouses (
  code text PRIMARY KEY
);
INSERT INTO warehouses (code) VALUES ('main');

-- The hottest rows of the database: room in the page keeps their updates out of the indexes.
CREATE TABLE stock (
  variant_id uuid NOT NULL REFERENCES variants,
  warehouse  text NOT NULL REFERENCES warehouses DEFAULT 'main',
  on_hand    bigint NOT NULL CHECK (on_hand BETWEEN 0 AND 1000000000),
  reserved   bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  version    bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (variant_id, warehouse),
  CONSTRAINT stock_covers_reservations CHECK (reserved <= on_hand)
) WITH (fillfactor = 50);

-- The journal: never changed, never purged; per variant and warehouse it sums to on_hand. No foreign
-- keys: its rows are made from the stock rows of the same statement, and a key check would lock the
-- one warehouse row from every sale at once.
CREATE TABLE stock_movements (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  variant_id     uuid NOT NULL,
  warehouse      text NOT NULL DEFAULT 'main',
  delta          bigint NOT NULL CHECK (delta <> 0),
  kind           text NOT NULL CHECK (kind IN ('initial', 'adjustment', 'import', 'sale', 'restock')),
  reason         text NOT NULL DEFAULT '',
  reservation_id uuid,
  import_id      uuid,
  actor          text NOT NULL DEFAULT '',
  created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stock_movements_by_variant ON stock_movements (variant_id, id);

-- The lines are parallel arrays in the order they were asked for: the first success is told again
-- from this row alone.
CREATE TABLE reservations (
  id            uuid PRIMARY KEY,
  origin        uuid NOT NULL,
  buyer         uuid NOT NULL,
  currency      text NOT NULL,
  state         text NOT NULL CHECK (state IN ('active', 'committed', 'released', 'restocked')),
  variant_ids   uuid[] NOT NULL,
  product_ids   uuid[] NOT NULL,
  skus          text[] NOT NULL,
  names         text[] NOT NULL,
  quantities    bigint[] NOT NULL,
  amounts_minor bigint[] NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz NOT NULL,
  check_at      timestamptz NOT NULL,  -- when the sweep asks (again) what became of its order
  ended_at      timestamptz
);
CREATE INDEX reservations_open_by_buyer ON reservations (buyer) WHERE state = 'active';
CREATE INDEX reservations_to_check ON reservations (check_at) WHERE state = 'active';

-- The same lines as rows, for the audit and for people.
CREATE VIEW reservation_lines AS
  SELECT r.id AS reservation_id, r.state, l.variant_id, l.quantity
  FROM reservations r, unnest(r.variant_ids, r.quantities) AS l (variant_id, quantity);
