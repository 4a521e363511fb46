DROP VIEW audit_entries;
DROP FUNCTION take_audit_intake(int), forget_audit_intake(text, bigint), begin_audit_epoch(), append_audit(bigint, jsonb),
  seal_audit(bigint, bigint, bigint, jsonb, text), add_audit_cosignature(bigint, text, text), retire_audit_month(date, text, int),
  object_to_audit_entry(uuid, uuid, jsonb), unusual_access(), raise_audit_alert(jsonb, jsonb);
DROP TABLE audit_alerts, audit_alert_rules, audit_objections, audit_retired, audit_head, audit_cosignatures, audit_checkpoints, audit_tiles, audit_log, audit_intake;
DROP FUNCTION refuse_audit_change(), refuse_tile_change();

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
GRANT SELECT, INSERT ON audit_log TO amrutam_app;
GRANT SELECT ON audit_log TO amrutam_reader;
SELECT ensure_partitions((now() - interval '2 months')::date, (now() + interval '3 months')::date);
