-- The roles stay: other databases of this server may use them.
REVOKE USAGE ON SCHEMA public FROM amrutam_app, amrutam_reader;
DROP SCHEMA phi;
DROP EXTENSION btree_gist;
