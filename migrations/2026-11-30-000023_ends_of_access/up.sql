-- What outlived an erasure, and a leave to read that no visit had earned.

-- People whom accounts keep no more and whom no visit names. Of them nothing is left but a key, under which what backups hold of them
-- still opens: it ends with their keeper's.
CREATE TABLE removed_dependants (
  dependant_id uuid PRIMARY KEY,
  keeper_id    uuid NOT NULL REFERENCES accounts (id)
);
CREATE INDEX removed_dependants_by_keeper ON removed_dependants (keeper_id);

GRANT INSERT ON removed_dependants TO amrutam_app;

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
        WITH gone AS (
          DELETE FROM phi.dependants d WHERE d.id = x.id AND d.version = x.version - 1 AND d.removed_at IS NULL
          RETURNING d.id, d.keeper_id)
        INSERT INTO removed_dependants (dependant_id, keeper_id) SELECT id, keeper_id FROM gone;
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

-- Which sessions ended; null when something has changed. Locks as identity's functions do, the calendar last: of a removal meanwhile and
-- the erasure one is stale.
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
  DELETE FROM phi.consents k USING consultations c
    WHERE c.patient_id = account AND k.consultation_id = c.id AND k.purpose = 'marketing';
  -- The account's row keeps holds from being placed meanwhile.
  IF forgets = on_hold(account) THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  IF forgets THEN
    unheld := ARRAY(SELECT id FROM consultations WHERE patient_id = account AND status NOT IN ('in_progress', 'completed'));
    DELETE FROM phi.visit_reasons WHERE consultation_id = ANY (unheld);
    DELETE FROM phi.guardians WHERE consultation_id = ANY (unheld);
    DELETE FROM phi.consents WHERE consultation_id = ANY (unheld);
    WITH forgotten AS (
      DELETE FROM phi.dependants k WHERE k.keeper_id = account AND NOT EXISTS (
        SELECT FROM consultations c WHERE c.patient_id = account AND c.dependant_id = k.id AND c.status IN ('in_progress', 'completed'))
      RETURNING id)
    SELECT coalesce(array_agg(id), '{}') INTO gone FROM forgotten;
  END IF;
  WITH removed AS (DELETE FROM removed_dependants WHERE keeper_id = account RETURNING dependant_id)
  SELECT gone || coalesce(array_agg(dependant_id), '{}') INTO gone FROM removed;
  INSERT INTO erasures (account_id, erased_at, last_visit, keep_until, rules, report, state, forgotten)
    SELECT account_id, erased_at, last_visit, keep_until, rules, report, state, gone
    FROM jsonb_to_record(change -> 'erasure') AS x (account_id uuid, erased_at timestamptz, last_visit timestamptz,
      keep_until timestamptz, rules text, report jsonb, state text);
  PERFORM must_commit_effects(change -> 'effects');
  RETURN ended;
END
$$;

-- What earlier erasures said was gone.
DELETE FROM phi.consents k USING erasures e, consultations c
  WHERE c.patient_id = e.account_id AND k.consultation_id = c.id
    AND (k.purpose = 'marketing' OR (c.status NOT IN ('in_progress', 'completed')
                                     AND e.report @> '[{"item": "unheld_visits", "fate": "erased"}]'));

-- Of visits that are confirmed and not begun only those that end after `since`: nobody closes one that did not take place. The release
-- before asks the function without it.
CREATE FUNCTION clinical_last_treated(patient uuid, dependant uuid, doctor_account uuid, since timestamptz, soon timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT max(c.ends_at) FROM consultations c JOIN doctors d ON d.id = c.doctor_id
            WHERE c.patient_id = patient AND c.dependant_id IS NOT DISTINCT FROM dependant AND d.account_id = doctor_account
              AND NOT record_locked(patient)
              AND (c.status IN ('in_progress', 'completed') OR (c.status = 'confirmed' AND c.ends_at > since AND c.starts_at < soon)));
END
$$;

GRANT EXECUTE ON FUNCTION clinical_last_treated(uuid, uuid, uuid, timestamptz, timestamptz) TO amrutam_app;
