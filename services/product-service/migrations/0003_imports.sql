-- An import is invisible and idle while it is `receiving`; it becomes `queued` in the statement
-- after which its upload is answered.
CREATE TABLE imports (
  id                 uuid PRIMARY KEY,
  state              text NOT NULL CHECK (state IN ('receiving', 'queued', 'running', 'completed', 'failed')),
  currency           text NOT NULL,
  set_stock          boolean NOT NULL,
  caller             text NOT NULL,
  fingerprint        text,  -- SHA-256 of the bytes, hexadecimal
  byte_count         bigint NOT NULL DEFAULT 0,
  bytes_done         bigint NOT NULL DEFAULT 0,  -- where the next product begins
  lines_done         bigint NOT NULL DEFAULT 0,
  rows_done          bigint NOT NULL DEFAULT 0,
  products_created   bigint NOT NULL DEFAULT 0,
  products_updated   bigint NOT NULL DEFAULT 0,
  products_unchanged bigint NOT NULL DEFAULT 0,
  products_refused   bigint NOT NULL DEFAULT 0,
  problem_count      bigint NOT NULL DEFAULT 0,
  failure            text,
  attempts           integer NOT NULL DEFAULT 0,  -- workers since the last committed step
  lease_owner        uuid,
  lease_until        timestamptz,
  created_at         timestamptz NOT NULL DEFAULT now(),
  finished_at        timestamptz
);
CREATE INDEX imports_unfinished ON imports (created_at) WHERE state IN ('receiving', 'queued', 'running');

CREATE TABLE import_chunks (
  import_id  uuid NOT NULL REFERENCES imports ON DELETE CASCADE,
  byte_first bigint NOT NULL,
  bytes      bytea NOT NULL,
  PRIMARY KEY (import_id, byte_first)
);
-- CSV of a shop compresses well, but not by the loop's thread.
ALTER TABLE import_chunks ALTER COLUMN bytes SET COMPRESSION lz4;

CREATE TABLE import_problems (
  import_id   uuid NOT NULL REFERENCES imports ON DELETE CASCADE,
  position    bigint NOT NULL,
  line        bigint NOT NULL,
  column_name text,
  code        text NOT NULL,
  severity    text NOT NULL CHECK (severity IN ('error', 'warning')),
  handle      text,
  detail      text NOT NULL,
  PRIMARY KEY (import_id, position)
);
