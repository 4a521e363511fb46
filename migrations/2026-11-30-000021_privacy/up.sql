-- Copies of what is held of people, and its end. Of an erased account a row of opaque id and role stays, for what must be kept refers
-- to it; nothing finds it by an address any more.

ALTER TABLE accounts ALTER COLUMN email_index DROP NOT NULL;
ALTER TABLE accounts ADD CONSTRAINT accounts_address CHECK (email_index IS NOT NULL OR status = 'deactivated') NOT VALID;
ALTER TABLE accounts VALIDATE CONSTRAINT accounts_address;

-- A copy that somebody has asked for. One of a person is open at a time.
CREATE TABLE exports (
  id           uuid PRIMARY KEY,
  account_id   uuid NOT NULL REFERENCES accounts (id),
  requested_at timestamptz NOT NULL,
  state        text NOT NULL CHECK (state IN ('preparing', 'ready', 'downloaded', 'expired', 'failed')),
  failure      text CHECK (failure IN ('too_large', 'not_made')),
  -- Of the archive.
  bytes        bigint CHECK (bytes > 0),
  sha256       bytea CHECK (length(sha256) = 32),
  changed_at   timestamptz NOT NULL,
  version      bigint NOT NULL CHECK (version > 0),
  CHECK ((state = 'failed') = (failure IS NOT NULL)),
  CHECK ((state = 'ready') = (bytes IS NOT NULL) AND (bytes IS NULL) = (sha256 IS NULL))
);
CREATE UNIQUE INDEX exports_one_open ON exports (account_id) WHERE state IN ('preparing', 'ready');
CREATE INDEX exports_open_by_age ON exports (state, changed_at) WHERE state IN ('preparing', 'ready');

-- The archive in pieces, each sealed for its export and number.
CREATE TABLE phi.export_chunks (
  export_id uuid NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
  n         int NOT NULL CHECK (n > 0),
  sealed    bytea NOT NULL,
  PRIMARY KEY (export_id, n)
);

GRANT SELECT, INSERT, UPDATE (state, failure, bytes, sha256, changed_at, version), DELETE ON exports TO amrutam_app;
GRANT SELECT, INSERT, DELETE ON phi.export_chunks TO amrutam_app;

-- An erasure: what of the account is kept is locked until `keep_until`, then destroyed. Only the functions below write here, with the
-- owner's rights: the app has no other way to delete what is sealed of anybody.
CREATE TABLE erasures (
  account_id   uuid PRIMARY KEY REFERENCES accounts (id),
  erased_at    timestamptz NOT NULL,
  last_visit   timestamptz,
  keep_until   timestamptz NOT NULL,
  rules        text NOT NULL,
  report       jsonb NOT NULL,
  state        text NOT NULL CHECK (state IN ('locked', 'destroying', 'destroyed')),
  destroyed_at timestamptz,
  -- People the account kept who were forgotten with it: their keys go with its own.
  forgotten    uuid[] NOT NULL DEFAULT '{}',
  CHECK ((state = 'destroyed') = (destroyed_at IS NOT NULL))
);
CREATE INDEX erasures_due ON erasures (keep_until) WHERE state <> 'destroyed';

-- What keeps a record beyond its time, by the case's opaque reference.
CREATE TABLE legal_holds (
  account_id uuid NOT NULL REFERENCES accounts (id),
  reference  text NOT NULL CHECK (length(reference) BETWEEN 1 AND 64),
  placed_at  timestamptz NOT NULL,
  lifted_at  timestamptz,
  PRIMARY KEY (account_id, reference)
);

GRANT SELECT ON erasures TO amrutam_app, amrutam_reader;
GRANT SELECT, INSERT, UPDATE (placed_at, lifted_at) ON legal_holds TO amrutam_app;

-- Messages to a person are found by them: to be exported, and to be called off.
CREATE INDEX scheduled_messages_by_recipient ON scheduled_messages (recipient_id);

-- Whether nobody may open what is kept of them.
CREATE FUNCTION record_locked(patient uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM erasures WHERE account_id = patient);
END
$$;

CREATE FUNCTION on_hold(account uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM legal_holds WHERE account_id = account AND lifted_at IS NULL);
END
$$;

-- What keeps somebody's keys: 'on_hold', 'kept' or 'due'. Of an account, or of a person whom one keeps or kept.
CREATE FUNCTION keys_standing(owner uuid, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  whose uuid[] := ARRAY(
    SELECT owner
    UNION SELECT k.keeper_id FROM phi.dependants k WHERE k.id = owner
    UNION SELECT c.patient_id FROM consultations c WHERE c.dependant_id = owner);
BEGIN
  IF EXISTS (SELECT FROM unnest(whose) AS one WHERE on_hold(one)) THEN RETURN 'on_hold'; END IF;
  IF EXISTS (SELECT FROM erasures WHERE account_id = ANY (whose) AND (state <> 'locked' OR keep_until <= at)) THEN RETURN 'due'; END IF;
  RETURN 'kept';
END
$$;

CREATE FUNCTION export_snapshot(account uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'open', (SELECT to_jsonb(e) FROM exports e WHERE e.account_id = account AND e.state IN ('preparing', 'ready')),
    'recorded', recorded_answer(account, claim_key));
END
$$;

-- An export's next version, with its archive or without it.
CREATE FUNCTION put_export(export jsonb, chunks bytea[], discard boolean, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  wanted uuid := (export ->> 'id')::uuid;
BEGIN
  IF (export ->> 'version')::bigint = 1 THEN
    INSERT INTO exports (id, account_id, requested_at, state, changed_at, version)
      SELECT id, account_id, requested_at, state, changed_at, version
      FROM jsonb_to_record(export) AS x (id uuid, account_id uuid, requested_at timestamptz, state text, changed_at timestamptz,
        version bigint)
      ON CONFLICT DO NOTHING;
  ELSE
    UPDATE exports e
      SET state = x.state, failure = x.failure, bytes = x.bytes, sha256 = decode(x.sha256, 'hex'), changed_at = x.changed_at,
          version = x.version
      FROM jsonb_to_record(export) AS x (state text, failure text, bytes bigint, sha256 text, changed_at timestamptz, version bigint)
      WHERE e.id = wanted AND e.version = x.version - 1;
  END IF;
  IF NOT FOUND THEN RETURN 'stale'; END IF;
  IF discard THEN
    DELETE FROM phi.export_chunks WHERE export_id = wanted;
  END IF;
  INSERT INTO phi.export_chunks (export_id, n, sealed)
    SELECT wanted, n, sealed FROM unnest(chunks) WITH ORDINALITY AS x (sealed, n);
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

-- All that is kept of a person, sealed as it is. Drafts are their author's alone.
CREATE FUNCTION held_of(account uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'consultations', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'consultation', to_jsonb(c),
        'doctor', (SELECT jsonb_build_object('id', d.id, 'name', d.full_name, 'council', d.council,
                                             'registration_number', d.registration_number) FROM doctors d WHERE d.id = c.doctor_id),
        'reason', (SELECT r.sealed FROM phi.visit_reasons r WHERE r.consultation_id = c.id),
        'summary', (SELECT to_jsonb(s) FROM phi.visit_summaries s WHERE s.consultation_id = c.id),
        'timeline', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.version), '[]') FROM consultation_timeline t
                       WHERE t.consultation_id = c.id AND t.consultation_created_at = c.created_at),
        'presence', clinical_presence(c.id),
        'consents', clinical_consents(c.id),
        'guardian', clinical_guardian(c.id),
        'notes', (SELECT coalesce(jsonb_agg(to_jsonb(n) ORDER BY n.version), '[]') FROM phi.note_versions n
                    WHERE n.consultation_id = c.id),
        'prescriptions', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.number), '[]') FROM phi.prescriptions p
                            WHERE p.consultation_id = c.id AND p.status <> 'draft'))
      ORDER BY c.starts_at, c.id), '[]') FROM consultations c WHERE c.patient_id = account),
    'dependants', (SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.added_at, k.id), '[]') FROM phi.dependants k
                     WHERE k.keeper_id = account),
    'payments', (SELECT coalesce(jsonb_agg(to_jsonb(p) - 'document' - 'look_at' - 'revision' || jsonb_build_object(
        'captures', (SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.captured_at), '[]') FROM payment_captures k
                       WHERE k.payment_id = p.id),
        'timeline', (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'evidence' ORDER BY t.version), '[]') FROM payment_timeline t
                       WHERE t.payment_id = p.id))
      ORDER BY p.created_at), '[]') FROM payments p WHERE p.patient_id = account),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'kind', m.kind, 'consultation_id', m.consultation_id,
        'due_at', m.due_at, 'status', m.status, 'settled_at', m.settled_at) ORDER BY m.due_at), '[]')
      FROM scheduled_messages m WHERE m.recipient_id = account),
    'sessions', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'created_at', s.created_at, 'last_used_at', s.last_used_at,
        'label', s.label, 'ended_at', s.ended_at, 'end_reason', s.end_reason) ORDER BY s.created_at), '[]')
      FROM sessions s WHERE s.account_id = account),
    'second_factor', (SELECT jsonb_build_object('confirmed_at', f.confirmed_at) FROM totp_factors f
      WHERE f.account_id = account AND f.state = 'confirmed'),
    'exports', (SELECT coalesce(jsonb_agg(to_jsonb(e) - 'sha256' ORDER BY e.requested_at), '[]') FROM exports e
      WHERE e.account_id = account),
    'profile', (SELECT to_jsonb(d) FROM doctors d WHERE d.account_id = account));
END
$$;

-- What an erasure is decided on; null when there is no such account, or it is erased.
CREATE FUNCTION erasure_facts(account uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('account_version', a.version,
      'calendar_version', coalesce((SELECT k.version FROM patient_calendars k WHERE k.patient_id = a.id), 0),
      'live', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'starts_at', c.starts_at, 'ends_at', c.ends_at,
                 'begun', c.status = 'in_progress') ORDER BY c.starts_at), '[]')
               FROM consultations c WHERE c.patient_id = a.id AND c.status IN ('pending', 'confirmed', 'in_progress')),
      -- A visit that was completed before its slot's end ended then.
      'last_visit', (SELECT max(least(c.ends_at, c.updated_at)) FROM consultations c
                       WHERE c.patient_id = a.id AND c.status IN ('in_progress', 'completed')),
      'on_hold', on_hold(a.id))
    FROM accounts a WHERE a.id = account AND NOT record_locked(a.id));
END
$$;

-- Which sessions ended; null when something has changed. Locks as identity's functions do, the calendar last.
CREATE FUNCTION commit_erasure(change jsonb) RETURNS uuid[]
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

CREATE FUNCTION erasures_due_at(at timestamptz, most int) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT account_id FROM erasures
                 WHERE state <> 'destroyed' AND keep_until <= at AND (state = 'destroying' OR NOT on_hold(account_id))
                 ORDER BY keep_until LIMIT most);
END
$$;

-- Whose keys are to be destroyed, people the account kept among them; null when it is not due, is on hold or is done. The account's
-- row keeps holds from being placed meanwhile.
CREATE FUNCTION begin_destruction(account uuid, at timestamptz) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  UPDATE erasures SET state = 'destroying'
    WHERE account_id = account AND state <> 'destroyed' AND keep_until <= at AND (state = 'destroying' OR NOT on_hold(account));
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN ARRAY(
    SELECT account
    UNION SELECT k.id FROM phi.dependants k WHERE k.keeper_id = account
    UNION SELECT unnest(forgotten) FROM erasures WHERE account_id = account
    UNION SELECT c.dependant_id FROM consultations c WHERE c.patient_id = account AND c.dependant_id IS NOT NULL);
END
$$;

-- What was sealed under keys that are no more.
CREATE FUNCTION finish_destruction(account uuid, at timestamptz, effects jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  visits uuid[];
BEGIN
  UPDATE erasures SET state = 'destroyed', destroyed_at = at WHERE account_id = account AND state = 'destroying';
  IF NOT FOUND THEN RETURN 'stale'; END IF;
  visits := ARRAY(SELECT id FROM consultations WHERE patient_id = account);
  DELETE FROM phi.documents d USING phi.prescriptions p WHERE p.id = d.prescription_id AND p.consultation_id = ANY (visits);
  DELETE FROM phi.prescriptions WHERE consultation_id = ANY (visits);
  DELETE FROM phi.note_versions WHERE consultation_id = ANY (visits);
  DELETE FROM phi.guardians WHERE consultation_id = ANY (visits);
  DELETE FROM phi.consents WHERE consultation_id = ANY (visits);
  DELETE FROM phi.visit_reasons WHERE consultation_id = ANY (visits);
  DELETE FROM phi.visit_summaries WHERE consultation_id = ANY (visits);
  DELETE FROM phi.dependants WHERE keeper_id = account;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

-- 'ok', 'unknown' or 'too_late'.
CREATE FUNCTION place_hold(hold jsonb, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (hold ->> 'account_id')::uuid;
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF EXISTS (SELECT FROM erasures WHERE account_id = account AND state <> 'locked') THEN RETURN 'too_late'; END IF;
  INSERT INTO legal_holds AS h (account_id, reference, placed_at) VALUES (account, hold ->> 'reference', (hold ->> 'placed_at')::timestamptz)
    ON CONFLICT (account_id, reference) DO UPDATE SET placed_at = excluded.placed_at, lifted_at = NULL WHERE h.lifted_at IS NOT NULL;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

CREATE FUNCTION lift_hold(account uuid, case_reference text, at timestamptz, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE legal_holds SET lifted_at = at WHERE account_id = account AND reference = case_reference AND lifted_at IS NULL;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

-- They run with the owner's rights, so not everybody may call them.
REVOKE EXECUTE ON FUNCTION commit_erasure(jsonb), begin_destruction(uuid, timestamptz), finish_destruction(uuid, timestamptz, jsonb)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_locked(uuid), on_hold(uuid), keys_standing(uuid, timestamptz), export_snapshot(uuid, text), put_export(jsonb, bytea[], boolean, jsonb),
  held_of(uuid), erasure_facts(uuid), commit_erasure(jsonb), erasures_due_at(timestamptz, int), begin_destruction(uuid, timestamptz),
  finish_destruction(uuid, timestamptz, jsonb), place_hold(jsonb, jsonb), lift_hold(uuid, text, timestamptz, jsonb) TO amrutam_app;
