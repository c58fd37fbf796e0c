-- An erased user keeps the row and loses everything in it that is about a person, so that an id in
-- another database never comes to mean somebody else.
CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text UNIQUE,
  name text,
  password_hash text,
  role text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'staff', 'admin')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  CHECK (CASE WHEN erased_at IS NULL
              THEN email IS NOT NULL AND name IS NOT NULL AND password_hash IS NOT NULL
              ELSE email IS NULL AND name IS NULL AND password_hash IS NULL END)
);

CREATE TABLE sessions (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  end_reason text CHECK (end_reason IN
    ('logout', 'logout_all', 'token_reused', 'password_changed', 'erased')),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX sessions_live_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Every refresh token a session ever had, by its SHA-256: one that comes back after its successor
-- was used has been copied.
CREATE TABLE refresh_tokens (
  hash bytea PRIMARY KEY CHECK (length(hash) = 32),
  session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  replaced_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

-- Failed logins since the last success, by SHA-256 of the address, also of addresses without an
-- account: a lock must not tell whether there is one.
CREATE TABLE login_failures (
  account bytea PRIMARY KEY CHECK (length(account) = 32),
  failures bigint NOT NULL,
  last_failed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX login_failures_age ON login_failures (last_failed_at);

-- The private half is sealed with AES-256-GCM under STOA_KEY_ENCRYPTION_KEY. `generation` makes two
-- replicas that start on an empty table agree on one first key.
CREATE TABLE signing_keys (
  generation bigint PRIMARY KEY,
  kid text NOT NULL UNIQUE,
  public_jwk text NOT NULL,
  private_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  signs_from timestamptz NOT NULL
);
