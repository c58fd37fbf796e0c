-- Double entry, append-only. The id of a transaction is that of the attempt or refund that caused
-- it, so each can be booked once only. Signed amounts; a transaction sums to 0 in each currency.
CREATE TABLE ledger_accounts (
  code text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense')),
  title text NOT NULL
);

INSERT INTO ledger_accounts (code, kind, title) VALUES
  ('provider_cash', 'asset', 'Held for us by the payment provider'),
  ('captured_payments', 'income', 'Paid by customers'),
  ('refunded_payments', 'expense', 'Given back to customers'),
  ('settled_by_hand', 'liability', 'Given back by an operator outside of the provider'),
  ('unexplained', 'liability', 'Captured at the provider without an order of ours');

CREATE TABLE ledger_entries (
  transaction_id uuid NOT NULL,
  line smallint NOT NULL,
  account text NOT NULL REFERENCES ledger_accounts (code),
  amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
  currency text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('capture', 'refund', 'correction')),
  payment_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (transaction_id, line)
);

CREATE FUNCTION ledger_demand_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM ledger_entries WHERE transaction_id = NEW.transaction_id
             GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
    RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.transaction_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balanced';
  END IF;
  RETURN NULL;
END
$$;

-- At commit, when all lines are there.
CREATE CONSTRAINT TRIGGER ledger_balanced AFTER INSERT ON ledger_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_demand_balance();

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: post a correction'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_append_only';
END
$$;

CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_accounts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- The triggers bind everybody, the owner too; the service has not even the right. Its role is made
-- with the installation and absent from a test's private database.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'payment-service') THEN
    REVOKE UPDATE, DELETE, TRUNCATE ON ledger_entries FROM "payment-service";
    REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ledger_accounts FROM "payment-service";
  END IF;
END
$$;
