-- One row for each mail that was ever due: the order of work, the delivery log and the proof that a
-- subject got one mail of a kind. Neither addresses nor rendered bodies are kept.
CREATE TABLE deliveries (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  subject text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('user_registered', 'order_paid', 'order_cancelled',
                                     'payment_failed', 'payment_refunded')),
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'suppressed', 'failed')),
  -- What the mail tells: the data of its event. Erased with the user, and 30 days after its day.
  content jsonb,
  message_id text NOT NULL UNIQUE,
  traceparent text NOT NULL DEFAULT '',
  failures integer NOT NULL DEFAULT 0,
  last_error text NOT NULL DEFAULT '',
  -- When somebody must look at it; a sender that takes it moves this on (its lease).
  due_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  CONSTRAINT deliveries_once UNIQUE (subject, kind),
  CONSTRAINT deliveries_open_has_content CHECK (status <> 'pending' OR content IS NOT NULL),
  CONSTRAINT deliveries_sent CHECK ((status = 'sent') = (sent_at IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX deliveries_due ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_of_user ON deliveries (user_id);
CREATE INDEX deliveries_with_content ON deliveries (created_at) WHERE content IS NOT NULL;
