-- Three roles: the owner runs migrations and nothing else; the app has no DDL and can't rewrite the audit trail;
-- the reader serves replicas and reports. Roles belong to the whole server, so they may exist already, with log-ins
-- made by whoever runs it.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['amrutam_owner', 'amrutam_app', 'amrutam_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      -- So that the same log-in can work as the app role (setting database.role).
      EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    END IF;
  END LOOP;
END
$$;

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Vertical partition: personal health information, with grants of its own.
CREATE SCHEMA phi;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO amrutam_app, amrutam_reader;
GRANT USAGE ON SCHEMA phi TO amrutam_app;
