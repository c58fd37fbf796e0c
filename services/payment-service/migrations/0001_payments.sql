-- The money of one order: one row for each order that was placed or cancelled, kept for ever. It is
-- also the lock of everything that happens to that money. An order that is cancelled before it was
-- placed has a row without an amount, so that the placing finds it and starts nothing.
CREATE TABLE payments (
  id uuid PRIMARY KEY,
  order_id uuid NOT NULL UNIQUE,
  customer_id uuid NOT NULL,
  amount_minor bigint CHECK (amount_minor > 0),
  currency text CHECK (currency ~ '^[A-Z]{3}$'),
  payment_token text,
  status text NOT NULL CHECK (status IN ('pending', 'captured', 'declined', 'voided')),
  captured_minor bigint NOT NULL DEFAULT 0,
  refunded_minor bigint NOT NULL DEFAULT 0,
  refund_pending_minor bigint NOT NULL DEFAULT 0,
  decline_reason text NOT NULL DEFAULT '',
  provider_payment_id text NOT NULL DEFAULT '',
  closed_at timestamptz,
  closing_failures integer NOT NULL DEFAULT 0,
  last_refund_id uuid,
  last_refund_minor bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT payments_amount_whole CHECK (
    (amount_minor IS NULL) = (currency IS NULL)
    AND (amount_minor IS NULL) = (payment_token IS NULL)
    AND (amount_minor IS NOT NULL OR status = 'voided')),
  CONSTRAINT payments_refund_cap CHECK (
    captured_minor >= 0 AND refunded_minor >= 0 AND refund_pending_minor >= 0
    AND refunded_minor + refund_pending_minor <= captured_minor
    AND captured_minor <= coalesce(amount_minor, 0))
) WITH (fillfactor = 70);

-- Closing refunds that the provider keeps refusing: what the metric and the alert count.
CREATE INDEX payments_closing_failing ON payments (id) WHERE closing_failures > 0;

-- One request for the money. Its id is the key the provider gets, so it is never charged twice.
CREATE TABLE attempts (
  id uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payments (id),
  order_id uuid NOT NULL,
  status text NOT NULL CHECK (status IN ('started', 'unknown', 'captured', 'declined', 'voided')),
  -- When somebody must look at it again; a worker that takes it moves this on (its lease).
  due_at timestamptz NOT NULL,
  tries integer NOT NULL DEFAULT 0,
  reason text NOT NULL DEFAULT '',
  provider_payment_id text NOT NULL DEFAULT '',
  traceparent text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX attempts_one_open ON attempts (order_id) WHERE status IN ('started', 'unknown');
CREATE UNIQUE INDEX attempts_one_captured ON attempts (order_id) WHERE status = 'captured';
CREATE INDEX attempts_due ON attempts (due_at) WHERE status IN ('started', 'unknown');
CREATE INDEX attempts_of_payment ON attempts (payment_id);

CREATE TABLE refunds (
  id uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payments (id),
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'unknown', 'succeeded', 'failed')),
  closing boolean NOT NULL,
  reason text NOT NULL,
  requested_by text NOT NULL,
  failure text NOT NULL DEFAULT '',
  due_at timestamptz NOT NULL,
  tries integer NOT NULL DEFAULT 0,
  traceparent text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
);

CREATE INDEX refunds_of_payment ON refunds (payment_id, id);
CREATE INDEX refunds_due ON refunds (due_at) WHERE status IN ('pending', 'unknown');

-- Events of the provider as they came: stored before they are answered, acted on afterwards.
CREATE TABLE provider_events (
  id text PRIMARY KEY,
  type text NOT NULL,
  provider_key text NOT NULL,
  body text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  done_at timestamptz
);

CREATE INDEX provider_events_open ON provider_events (received_at) WHERE done_at IS NULL;
CREATE INDEX provider_events_done ON provider_events (done_at) WHERE done_at IS NOT NULL;
