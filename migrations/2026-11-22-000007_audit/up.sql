-- Opaque ids only: never a name, an address or a clinical word.
CREATE TABLE audit_log (
  id             uuid NOT NULL,
  occurred_at    timestamptz NOT NULL,
  actor_id       uuid,
  actor          text NOT NULL,
  action         text NOT NULL,
  resource_kind  text NOT NULL,
  resource_id    text NOT NULL,
  patient_id     uuid,
  outcome        text NOT NULL CHECK (outcome IN ('allowed', 'denied')),
  correlation_id text NOT NULL,
  PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX audit_log_by_patient ON audit_log (patient_id, occurred_at) WHERE patient_id IS NOT NULL;

-- No UPDATE, no DELETE, no TRUNCATE.
GRANT SELECT, INSERT ON audit_log TO amrutam_app;
GRANT SELECT ON audit_log TO amrutam_reader;
