DROP FUNCTION clinical_last_treated(uuid, uuid, uuid, timestamptz, timestamptz);
CREATE OR REPLACE FUNCTION commit_erasure(change jsonb) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  account  uuid := (change #>> '{erasure,account_id}')::uuid;
  expected bigint := (change ->> 'calendar_version')::bigint;
  at       timestamptz := (change #>> '{erasure,erased_at}')::timestamptz;
  forgets  boolean := (change ->> 'forgets_unheld')::boolean;
  unheld   uuid[];
  gone     uuid[] := '{}';
  ended    uuid[];
BEGIN
  UPDATE accounts
    SET status = 'deactivated', email_index = NULL, email_verified_at = NULL, password_hash = NULL, password_set_at = NULL,
        time_zone = 'UTC', version = version + 1
    WHERE id = account AND NOT record_locked(id) AND version = (change ->> 'account_version')::bigint;
  IF NOT FOUND THEN RETURN NULL; END IF;
  DELETE FROM account_links WHERE account_id = account;
  DELETE FROM totp_factors WHERE account_id = account;
  DELETE FROM recovery_codes WHERE account_id = account;
  DELETE FROM second_factor_tries WHERE account_id = account;
  SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO ended FROM sessions WHERE account_id = account;
  DELETE FROM sessions WHERE account_id = account;
  -- Whoever decides on the calendar as it was decides anew.
  IF expected = 0 THEN
    INSERT INTO patient_calendars (patient_id, version, live) VALUES (account, 1, '[]') ON CONFLICT DO NOTHING;
  ELSE
    UPDATE patient_calendars SET version = version + 1 WHERE patient_id = account AND version = expected;
  END IF;
  IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  DELETE FROM phi.contacts WHERE account_id = account;
  DELETE FROM exports WHERE account_id = account;
  DELETE FROM idempotency_keys WHERE caller_id = account;
  UPDATE scheduled_messages SET status = 'skipped', settled_at = at, detail = 'erased'
    WHERE recipient_id = account AND status = 'scheduled';
  -- The account's row keeps holds from being placed meanwhile.
  IF forgets = on_hold(account) THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  IF forgets THEN
    unheld := ARRAY(SELECT id FROM consultations WHERE patient_id = account AND status NOT IN ('in_progress', 'completed'));
    DELETE FROM phi.visit_reasons WHERE consultation_id = ANY (unheld);
    DELETE FROM phi.guardians WHERE consultation_id = ANY (unheld);
    WITH forgotten AS (
      DELETE FROM phi.dependants k WHERE k.keeper_id = account AND NOT EXISTS (
        SELECT FROM consultations c WHERE c.patient_id = account AND c.dependant_id = k.id AND c.status IN ('in_progress', 'completed'))
      RETURNING id)
    SELECT coalesce(array_agg(id), '{}') INTO gone FROM forgotten;
  END IF;
  INSERT INTO erasures (account_id, erased_at, last_visit, keep_until, rules, report, state, forgotten)
    SELECT account_id, erased_at, last_visit, keep_until, rules, report, state, gone
    FROM jsonb_to_record(change -> 'erasure') AS x (account_id uuid, erased_at timestamptz, last_visit timestamptz,
      keep_until timestamptz, rules text, report jsonb, state text);
  PERFORM must_commit_effects(change -> 'effects');
  RETURN ended;
END
$$;
CREATE OR REPLACE FUNCTION commit_dependant(change jsonb, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  x          phi.dependants := jsonb_populate_record(NULL::phi.dependants, change - 'sealed');
  new_sealed bytea := decode(change ->> 'sealed', 'hex');
BEGIN
  CASE change ->> 'kind'
    WHEN 'added' THEN
      PERFORM FROM accounts WHERE id = x.keeper_id FOR NO KEY UPDATE;
      IF count_dependants(x.keeper_id) <> (change ->> 'others')::bigint THEN RETURN 'stale'; END IF;
      INSERT INTO phi.dependants (id, keeper_id, version, sealed, added_at, updated_at, removed_at)
        VALUES (x.id, x.keeper_id, x.version, new_sealed, x.added_at, x.updated_at, NULL);
    WHEN 'changed' THEN
      UPDATE phi.dependants d SET version = x.version, sealed = new_sealed, updated_at = x.updated_at
        WHERE d.id = x.id AND d.version = x.version - 1 AND d.removed_at IS NULL;
      IF NOT FOUND THEN RETURN 'stale'; END IF;
    WHEN 'removed' THEN
      INSERT INTO patient_calendars AS p (patient_id, version, live)
        SELECT x.keeper_id, (change ->> 'calendar')::bigint + 1, '[]'
        WHERE (change ->> 'calendar')::bigint = 0 OR EXISTS (SELECT FROM patient_calendars old WHERE old.patient_id = x.keeper_id)
        ON CONFLICT (patient_id) DO UPDATE SET version = excluded.version WHERE p.version = excluded.version - 1;
      IF NOT FOUND THEN RETURN 'stale'; END IF;
      IF (change ->> 'forget')::boolean THEN
        DELETE FROM phi.dependants d WHERE d.id = x.id AND d.version = x.version - 1 AND d.removed_at IS NULL;
      ELSE
        UPDATE phi.dependants d
          SET version = x.version, sealed = new_sealed, updated_at = x.updated_at, removed_at = x.removed_at
          WHERE d.id = x.id AND d.version = x.version - 1 AND d.removed_at IS NULL;
      END IF;
      IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END CASE;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;
DROP TABLE removed_dependants;
