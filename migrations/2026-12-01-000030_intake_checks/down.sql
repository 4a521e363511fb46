ALTER TABLE audit_intake DROP CONSTRAINT audit_intake_has_its_fields, DROP CONSTRAINT audit_intake_has_its_month;
ALTER TABLE audit_intake
  ADD CONSTRAINT audit_intake_has_its_fields CHECK ((
    entry - '{id,occurred_at,actor,actor_id,role,purpose,action,resource_kind,resource_id,patient_id,outcome,correlation_id,origin,ruleset,
      break_glass}'::text[] = '{}'
    AND entry @@ '$.resource_id.type() == "string" && $.correlation_id.type() == "string" && $.break_glass.type() == "boolean"
      && ($.outcome == "allowed" || $.outcome == "denied" || $.outcome == "failed")
      && ($.origin == null || $.origin.type() == "string") && ($.ruleset == null || $.ruleset.type() == "string")'
    AND entry ->> 'id' = (entry ->> 'id')::uuid::text
    AND entry ->> 'actor_id' IS NOT DISTINCT FROM (entry ->> 'actor_id')::uuid::text
    AND entry ->> 'patient_id' IS NOT DISTINCT FROM (entry ->> 'patient_id')::uuid::text
    AND entry ->> 'occurred_at' ~ '^[0-9]+-[0-9]+-[0-9]+T[0-9:.]+(Z|[+-][0-9:]+)$'
    AND entry ->> 'actor' ~ '^[a-z]+(:[0-9a-z_./-]+)?$' AND entry ->> 'role' ~ '^[a-z_]+$' AND entry ->> 'purpose' ~ '^[a-z_]+$'
    AND entry ->> 'action' ~ '^[a-z_]+[.][a-z_]+$' AND length(entry ->> 'action') <= 81
    AND entry ->> 'resource_kind' ~ '^[a-z_]+$'
    AND entry ->> 'resource_id' ~ '^[0-9A-Za-z_.:/+-]*$' AND length(entry ->> 'resource_id') <= 80
    AND entry ->> 'correlation_id' ~ '^[!-~]+$' AND length(entry ->> 'correlation_id') <= 128
    AND pg_column_size(entry) <= 2000) IS TRUE) NOT VALID,
  ADD CONSTRAINT audit_intake_has_its_month CHECK (
    to_regclass('public.audit_log_' || to_char((entry ->> 'occurred_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY_MM')) IS NOT NULL) NOT VALID;
DROP FUNCTION is_audit_entry(jsonb);
DROP FUNCTION has_audit_month(jsonb);
