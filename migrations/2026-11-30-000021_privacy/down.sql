DROP FUNCTION lift_hold(uuid, text, timestamptz, jsonb), place_hold(jsonb, jsonb), finish_destruction(uuid, timestamptz, jsonb),
  begin_destruction(uuid, timestamptz), erasures_due_at(timestamptz, int), commit_erasure(jsonb), erasure_facts(uuid), held_of(uuid),
  put_export(jsonb, bytea[], boolean, jsonb), export_snapshot(uuid, text), keys_standing(uuid, timestamptz), on_hold(uuid), record_locked(uuid);
DROP INDEX scheduled_messages_by_recipient;
DROP TABLE legal_holds, erasures, phi.export_chunks, exports;
ALTER TABLE accounts DROP CONSTRAINT accounts_address;
-- Nobody's: as many bytes as a digest has, found by no address.
UPDATE accounts SET email_index = uuid_send(id) WHERE email_index IS NULL;
ALTER TABLE accounts ALTER COLUMN email_index SET NOT NULL;
