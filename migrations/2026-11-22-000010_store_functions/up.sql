-- The other units of work, each one statement for its caller: no transaction is ever open while the application waits for
-- anything else. Like commit_booking they store what the domain has decided, and compare versions.

-- For a caller that has written already: a refusal takes that back.
CREATE FUNCTION must_commit_effects(effects jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  verdict text := (commit_effects(effects))[1];
BEGIN
  IF verdict <> 'ok' THEN RAISE EXCEPTION 'amrutam:%', verdict; END IF;
END
$$;

CREATE FUNCTION insert_doctor(doctor jsonb, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  x doctors := jsonb_populate_record(NULL::doctors, doctor);
BEGIN
  IF NOT EXISTS (SELECT FROM accounts WHERE id = x.account_id AND role = 'doctor' AND status = 'active') THEN
    RETURN 'not_a_doctors_account';
  END IF;
  INSERT INTO doctors SELECT x.* ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    IF EXISTS (SELECT FROM doctors WHERE account_id = x.account_id) THEN
      RETURN 'account_has_profile';
    END IF;
    RETURN 'registration_taken';
  END IF;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

-- A profile's next version; false when another has been stored meanwhile.
CREATE FUNCTION put_doctor(doctor jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  x doctors := jsonb_populate_record(NULL::doctors, doctor);
BEGIN
  UPDATE doctors d
    SET full_name = x.full_name, system = x.system, registered_on = x.registered_on, valid_until = x.valid_until,
        qualifications = x.qualifications, specializations = x.specializations, languages = x.languages, modes = x.modes,
        fee_amount = x.fee_amount, fee_currency = x.fee_currency, bio = x.bio, time_zone = x.time_zone,
        status = x.status, version = x.version, updated_at = x.updated_at
    WHERE d.id = x.id AND d.version = x.version - 1;
  RETURN FOUND;
END
$$;

CREATE FUNCTION update_doctor(doctor jsonb, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT put_doctor(doctor) THEN
    RETURN 'stale';
  END IF;
  PERFORM must_commit_effects(effects);
  RETURN 'ok';
END
$$;

-- Rules, absences and slots of one practitioner, and the profile where slots follow from it. The row in availability
-- serializes its writers; a profile or a slot that has changed since the plan was made, or a new slot that would overlap
-- another, refuses the whole.
CREATE FUNCTION commit_availability(changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  doctor   uuid := (changes ->> 'doctor_id')::uuid;
  expected bigint := (changes ->> 'expected_revision')::bigint;
  raise_by int := (changes ->> 'raises_version')::boolean::int;
  until    date := (changes ->> 'generated_until')::date;
  affected int;
BEGIN
  -- Held until the end: zone, modes and registration are part of the plan.
  PERFORM FROM doctors WHERE id = doctor AND version = (changes ->> 'expected_profile')::bigint FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  IF expected = 0 THEN
    INSERT INTO availability (doctor_id, version, revision, generated_until) VALUES (doctor, raise_by, 1, until)
      ON CONFLICT DO NOTHING;
  ELSE
    UPDATE availability
      SET version = version + raise_by, revision = revision + 1, generated_until = greatest(generated_until, until)
      WHERE doctor_id = doctor AND revision = expected;
  END IF;
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  IF jsonb_typeof(changes -> 'profile') = 'object' AND NOT put_doctor(changes -> 'profile') THEN
    RAISE EXCEPTION 'amrutam:stale';
  END IF;

  IF jsonb_typeof(changes -> 'rules') = 'array' THEN
    DELETE FROM availability_rules WHERE doctor_id = doctor;
    INSERT INTO availability_rules (doctor_id, position, weekday, start_time, end_time, slot_minutes, buffer_minutes, modes,
                                    valid_from, valid_until)
      SELECT doctor, n, weekday, start_time, end_time, slot_minutes, buffer_minutes, modes, valid_from, valid_until
      FROM ROWS FROM (jsonb_to_recordset(changes -> 'rules') AS (weekday smallint, start_time time, end_time time,
        slot_minutes int, buffer_minutes int, modes text[], valid_from date, valid_until date)) WITH ORDINALITY
        AS x (weekday, start_time, end_time, slot_minutes, buffer_minutes, modes, valid_from, valid_until, n);
  END IF;
  INSERT INTO time_off (id, doctor_id, starts_at, ends_at, note)
    SELECT id, doctor, starts_at, ends_at, note
    FROM jsonb_to_recordset(changes -> 'add_time_off') AS x (id uuid, starts_at timestamptz, ends_at timestamptz, note text);
  DELETE FROM time_off WHERE doctor_id = doctor AND id = (changes ->> 'remove_time_off')::uuid;

  UPDATE slots s SET status = 'withdrawn', version = s.version + 1
    FROM jsonb_to_recordset(changes -> 'withdraw') AS x (id uuid, version bigint)
    WHERE s.id = x.id AND s.version = x.version AND s.status = 'open';
  GET DIAGNOSTICS affected = ROW_COUNT;
  IF affected < jsonb_array_length(changes -> 'withdraw') THEN RAISE EXCEPTION 'amrutam:stale'; END IF;

  UPDATE slots s SET outside_rules = x.outside, version = s.version + 1
    FROM jsonb_to_recordset(changes -> 'mark') AS x (id uuid, version bigint, outside boolean)
    WHERE s.id = x.id AND s.version = x.version;
  GET DIAGNOSTICS affected = ROW_COUNT;
  IF affected < jsonb_array_length(changes -> 'mark') THEN RAISE EXCEPTION 'amrutam:stale'; END IF;

  INSERT INTO slots (id, doctor_id, starts_at, ends_at, modes, status, version)
    SELECT id, doctor, starts_at, ends_at, modes, 'open', 1
    FROM jsonb_to_recordset(changes -> 'create') AS x (id uuid, starts_at timestamptz, ends_at timestamptz, modes text[]);
  PERFORM must_commit_effects(changes -> 'effects');
  RETURN 'ok';
END
$$;

CREATE FUNCTION plan_messages(messages jsonb, effects jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  verdicts text[] := commit_effects(effects);
BEGIN
  IF jsonb_array_length(messages) > 0 THEN
    INSERT INTO scheduled_messages (id, dedupe_key, kind, channel, recipient_id, consultation_id, slot_starts_at, link_id, due_at,
                                    next_attempt_at, correlation_id, trace_parent)
      SELECT id, dedupe_key, kind, channel, recipient_id, consultation_id, slot_starts_at, link_id, due_at, due_at, correlation_id,
             trace_parent
      FROM jsonb_to_recordset(messages) AS x (n int, id uuid, dedupe_key text, kind text, channel text, recipient_id uuid,
        consultation_id uuid, slot_starts_at timestamptz, link_id uuid, due_at timestamptz, correlation_id text, trace_parent text)
      WHERE verdicts[n] = 'ok' ORDER BY dedupe_key
      ON CONFLICT (dedupe_key) DO NOTHING;
  END IF;
  RETURN verdicts;
END
$$;

-- Which of them were still the claimant's. What is given up is a dead letter from then on; one that was requeued and is done
-- with now is none any more.
CREATE FUNCTION settle_messages(settled jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
DECLARE
  mine     uuid[];
  given_up jsonb;
BEGIN
  WITH noted AS (
    UPDATE scheduled_messages m
      SET status = x.status, next_attempt_at = coalesce(x.next_attempt_at, m.next_attempt_at), detail = x.detail,
          settled_at = CASE WHEN x.status <> 'scheduled' THEN coalesce(x.settled_at, now()) END,
          maybe_sent = m.maybe_sent OR x.maybe_sent
      FROM jsonb_to_recordset(settled) AS x (id uuid, attempts int, status text, settled_at timestamptz,
        next_attempt_at timestamptz, detail text, maybe_sent boolean)
      WHERE m.id = x.id AND m.attempts = x.attempts AND m.status = 'scheduled'
      RETURNING m.*
  ), done AS (
    UPDATE dead_letters d SET state = 'settled', updated_at = noted.settled_at, version = d.version + 1
      FROM noted
      WHERE noted.status IN ('sent', 'skipped') AND d.source = 'message' AND d.consumer = noted.channel AND d.subject_id = noted.id
        AND d.state IN ('dead', 'requeued')
  )
  SELECT array_agg(id), jsonb_agg(jsonb_build_object(
      'id', id, 'source', 'message', 'consumer', channel, 'subject', id, 'kind', kind, 'error', coalesce(detail, ''),
      'attempts', attempts, 'correlation_id', correlation_id, 'at', settled_at,
      'payload', jsonb_build_object('message_id', id, 'recipient_id', recipient_id, 'consultation_id', consultation_id,
        'slot_starts_at', slot_starts_at, 'link_id', link_id, 'due_at', due_at, 'maybe_sent', maybe_sent)))
      FILTER (WHERE status = 'gave_up')
    INTO mine, given_up FROM noted;
  IF given_up IS NOT NULL THEN PERFORM put_given_up(given_up); END IF;
  RETURN QUERY SELECT unnest(mine);
END
$$;

-- Leases due messages to one worker: until the lease ends, by this server's clock, nobody else gets them.
CREATE FUNCTION claim_due_messages(lease_us bigint, most int) RETURNS jsonb
-- Not LANGUAGE sql: that would plan it anew at each call.
LANGUAGE plpgsql AS $$
DECLARE
  messages jsonb;
BEGIN
  WITH claimed AS (
    UPDATE scheduled_messages m SET attempts = m.attempts + 1, next_attempt_at = now() + lease_us * interval '1 microsecond'
      -- An array: the planner can't know how small a limit is that comes as a parameter, and would join over all rows.
      WHERE m.id = ANY (ARRAY(SELECT id FROM scheduled_messages WHERE status = 'scheduled' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT most FOR UPDATE SKIP LOCKED))
      RETURNING m.*
  )
  SELECT coalesce(jsonb_agg(to_jsonb(claimed) ORDER BY due_at, id), '[]') INTO messages FROM claimed;
  RETURN messages;
END
$$;

GRANT EXECUTE ON FUNCTION must_commit_effects(jsonb), insert_doctor(jsonb, jsonb), put_doctor(jsonb), update_doctor(jsonb, jsonb), commit_availability(jsonb), plan_messages(jsonb, jsonb), settle_messages(jsonb),
  claim_due_messages(bigint, int) TO amrutam_app;
