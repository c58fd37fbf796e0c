-- What every service's database has. The role that runs this owns the tables; the service's own
-- role, the same name without "-migrate", works on their rows, and `audit` reads them. A later
-- migration may revoke (a ledger does).
DO $$
DECLARE
  service text := regexp_replace(current_user, '-migrate$', '');
BEGIN
  IF service <> current_user AND EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public'
                   ' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', service);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public'
                   ' GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO %I', service);
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'audit') THEN
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO audit;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO audit;
  END IF;
END
$$;

-- Facts to publish, written in the transaction of the state they tell, deleted once confirmed.
-- Every row is inserted and deleted within moments: vacuum by count, not by share, and never lock
-- the table to give its end back.
CREATE TABLE outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  type text NOT NULL,
  subject text NOT NULL,
  aggregate_version bigint NOT NULL,
  data jsonb NOT NULL,
  traceparent text,
  created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- Which events a consumer has effected, kept 30 days.
CREATE TABLE inbox (
  consumer text NOT NULL,
  event_id uuid NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 1);
CREATE INDEX inbox_received_at ON inbox USING brin (received_at);

-- The first answer to a POST, kept 72 hours.
CREATE TABLE idempotency_keys (
  origin uuid PRIMARY KEY,
  caller text NOT NULL,
  fingerprint bytea NOT NULL,
  status int NOT NULL,
  headers text NOT NULL,
  body text NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 1);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
