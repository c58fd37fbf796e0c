-- Databases, roles and rights of one installation. Run by a superuser with psql, as often as one
-- likes: what exists is kept, passwords and rights are set again.
--
--   STOA_SECRETS=<folder made by tools/secrets> psql -v ON_ERROR_STOP=1 -d postgres -f bootstrap.sql
--
-- Each service has two roles, and only its own database lets them in:
--   <service>           reads and writes rows; cannot change the schema
--   <service>-migrate   owns schema public; used by `<service> migrate` alone
-- and `audit` reads all of them and writes nowhere. Tables get their rights from the default
-- privileges below, so a migration needs no GRANT; it may REVOKE (the ledger does).
--
-- The passwords come from files into psql variables: an argument would be seen in the process list.
\set audit_password `cat "$STOA_SECRETS/audit-password"`
\set user_password `cat "$STOA_SECRETS/user-service/database-password"`
\set user_migrate_password `cat "$STOA_SECRETS/user-service/migrate-password"`
\set product_password `cat "$STOA_SECRETS/product-service/database-password"`
\set product_migrate_password `cat "$STOA_SECRETS/product-service/migrate-password"`
\set order_password `cat "$STOA_SECRETS/order-service/database-password"`
\set order_migrate_password `cat "$STOA_SECRETS/order-service/migrate-password"`
\set payment_password `cat "$STOA_SECRETS/payment-service/database-password"`
\set payment_migrate_password `cat "$STOA_SECRETS/payment-service/migrate-password"`
\set notification_password `cat "$STOA_SECRETS/notification-service/database-password"`
\set notification_migrate_password `cat "$STOA_SECRETS/notification-service/migrate-password"`

\set QUIET on
SET client_min_messages = warning;

CREATE TEMPORARY TABLE wanted (service text, database text, password text, migrate_password text);
INSERT INTO wanted VALUES
  ('user-service', 'users', :'user_password', :'user_migrate_password'),
  ('product-service', 'products', :'product_password', :'product_migrate_password'),
  ('order-service', 'orders', :'order_password', :'order_migrate_password'),
  ('payment-service', 'payments', :'payment_password', :'payment_migrate_password'),
  ('notification-service', 'notifications', :'notification_password', :'notification_migrate_password');

-- A missing file leaves an empty variable, and an empty password a role that cannot log in.
SELECT format('DO $$BEGIN RAISE EXCEPTION %L; END$$', 'no password in $STOA_SECRETS for ' || who)
FROM (SELECT service AS who FROM wanted WHERE '' IN (password, migrate_password)
      UNION ALL SELECT 'audit' WHERE :'audit_password' = '') AS missing
\gexec

SELECT format('CREATE ROLE %I', role)
FROM (SELECT service AS role FROM wanted UNION ALL SELECT service || '-migrate' FROM wanted
      UNION ALL SELECT 'audit') AS roles
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L',
              role, secret)
FROM (SELECT service AS role, password AS secret FROM wanted
      UNION ALL SELECT service || '-migrate', migrate_password FROM wanted
      UNION ALL SELECT 'audit', :'audit_password') AS roles
\gexec

-- A second line of defence: audit has no right to write anywhere either.
ALTER ROLE audit SET default_transaction_read_only = on;

SELECT format('CREATE DATABASE %I', database)
FROM wanted WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = database)
\gexec

REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', database) FROM wanted
UNION ALL
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I, %I', database, service, service || '-migrate')
FROM wanted
UNION ALL
SELECT format('GRANT CONNECT ON DATABASE %I TO audit', database) FROM wanted
\gexec

\set service user-service
\set migrate user-service-migrate
\connect users
\ir rights.sql

\set service product-service
\set migrate product-service-migrate
\connect products
-- Creating an extension takes a right on the database that the owner of a schema does not have.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;
\ir rights.sql

\set service order-service
\set migrate order-service-migrate
\connect orders
\ir rights.sql

\set service payment-service
\set migrate payment-service-migrate
\connect payments
\ir rights.sql

\set service notification-service
\set migrate notification-service-migrate
\connect notifications
\ir rights.sql
