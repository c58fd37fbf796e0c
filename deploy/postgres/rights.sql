-- The rights inside one database; included by bootstrap.sql with the variables service and migrate.
SET client_min_messages = warning;

ALTER SCHEMA public OWNER TO :"migrate";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"service", audit;

ALTER DEFAULT PRIVILEGES FOR ROLE :"migrate" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"migrate" IN SCHEMA public
  GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"migrate" IN SCHEMA public
  GRANT SELECT ON TABLES TO audit;
ALTER DEFAULT PRIVILEGES FOR ROLE :"migrate" IN SCHEMA public
  GRANT SELECT ON SEQUENCES TO audit;
