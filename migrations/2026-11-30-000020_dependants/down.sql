DROP FUNCTION commit_dependant(jsonb, jsonb);
DROP FUNCTION list_dependants(uuid, timestamptz, uuid, int);
DROP FUNCTION count_dependants(uuid);
DROP FUNCTION dependant_kept(uuid, uuid);
DROP TABLE phi.visit_summaries;
ALTER TABLE consultation_timeline DROP CONSTRAINT consultation_timeline_kind_check;
ALTER TABLE consultation_timeline ADD CONSTRAINT consultation_timeline_kind_check
  CHECK (kind IN ('status_changed', 'rescheduled', 'noted')) NOT VALID;
ALTER TABLE consultations DROP COLUMN dependant_id;
DROP TABLE phi.dependants;
