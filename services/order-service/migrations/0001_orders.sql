-- What people say on the phone: S-100001, S-100002 … (a refused order leaves a gap).
CREATE SEQUENCE order_numbers START 100001;

-- Who owns a reservation of product-service: an order, or (NULL) nobody, for ever. Never purged.
CREATE TABLE reservation_claims (
  reservation_id uuid PRIMARY KEY,
  origin uuid NOT NULL,
  order_id uuid UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
-- The generation of an origin is the number of its claims.
CREATE INDEX reservation_claims_origin ON reservation_claims (origin);

CREATE TABLE orders (
  id uuid PRIMARY KEY,
  number bigint NOT NULL UNIQUE,
  customer_id uuid NOT NULL,
  reservation_id uuid NOT NULL UNIQUE,
  status text NOT NULL
    CHECK (status IN ('pending', 'paid', 'payment_failed', 'cancelling', 'cancelled')),
  version bigint NOT NULL CHECK (version > 0),
  reason text,
  currency text NOT NULL,
  subtotal_minor bigint NOT NULL CHECK (subtotal_minor >= 0),
  discount_minor bigint NOT NULL CHECK (discount_minor >= 0),
  tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
  shipping_minor bigint NOT NULL CHECK (shipping_minor >= 0),
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  -- What events tell of the order, lines included, as contracts/events promise it: written once.
  facts jsonb NOT NULL,
  shipping_address jsonb NOT NULL,
  shipping_method text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- When the sweep looks at an order that waits; also its lease.
  check_at timestamptz,
  -- The event whose consequence the order waits for: while it is in the outbox, nobody is late.
  awaited_event uuid,
  relay_was_late boolean NOT NULL DEFAULT false,
  CONSTRAINT orders_total CHECK (total_minor = subtotal_minor - discount_minor + tax_minor + shipping_minor),
  CONSTRAINT orders_waiting CHECK ((status IN ('pending', 'cancelling')) = (check_at IS NOT NULL))
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- Ids are UUIDv7, so their order is the order of placing.
CREATE INDEX orders_of_customer ON orders (customer_id, id);
CREATE INDEX orders_by_status ON orders (status, id);
CREATE INDEX orders_to_check ON orders (check_at) WHERE check_at IS NOT NULL;

-- Each state an order was in, by the version that it had then.
CREATE TABLE order_history (
  order_id uuid NOT NULL REFERENCES orders (id),
  version bigint NOT NULL,
  type text NOT NULL,
  status text NOT NULL,
  reason text,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (order_id, version)
);
