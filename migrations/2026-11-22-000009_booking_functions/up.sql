-- The hot path in two round trips: read a snapshot, commit the changes decided on it. The functions decide nothing: they
-- lock, compare versions and store. Declared to diesel, so that their statements are prepared once per connection.

-- The time in a UUIDv7's first 48 bits.
CREATE FUNCTION uuid_v7_time(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT to_timestamp(('x0000' || translate(left(id::text, 13), '-', ''))::bit(64)::bigint / 1000.0)
$$;

-- created_at lies in the id's millisecond.
CREATE FUNCTION consultation_by_id(wanted uuid) RETURNS SETOF consultations
LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
  born timestamptz := uuid_v7_time(wanted);
BEGIN
  RETURN QUERY SELECT * FROM consultations
    WHERE id = wanted AND created_at >= born AND created_at < born + interval '1 millisecond';
END
$$;

CREATE FUNCTION booking_snapshot(wanted_slot uuid, patient uuid, caller uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  slot     slots;
  doctor   jsonb;
  occupant jsonb;
  recorded jsonb;
  calendar jsonb;
BEGIN
  IF claim_key IS NOT NULL THEN
    SELECT jsonb_build_object('fingerprint', encode(fingerprint, 'hex'), 'answer', answer) INTO recorded
      FROM idempotency_keys
      WHERE caller_id = caller AND key = claim_key AND created_at > now() - interval '24 hours';
  END IF;
  SELECT * INTO slot FROM slots WHERE id = wanted_slot;
  IF slot.id IS NOT NULL THEN
    SELECT jsonb_build_object('id', d.id, 'account_id', d.account_id, 'status', d.status, 'valid_until', d.valid_until,
                              'fee_amount', d.fee_amount, 'fee_currency', d.fee_currency) INTO doctor
      FROM doctors d WHERE d.id = slot.doctor_id;
    IF slot.consultation_id IS NOT NULL THEN
      SELECT to_jsonb(c) INTO occupant FROM consultation_by_id(slot.consultation_id) c;
    END IF;
  END IF;
  SELECT jsonb_build_object('version', p.version, 'live', p.live) INTO calendar
    FROM patient_calendars p WHERE p.patient_id = patient;
  RETURN jsonb_build_object('recorded', recorded, 'slot', CASE WHEN slot.id IS NOT NULL THEN to_jsonb(slot) END,
                            'doctor', doctor, 'occupant', occupant, 'calendar', calendar);
END
$$;

CREATE FUNCTION consultation_snapshot(wanted uuid, target_slot uuid, caller uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found  consultations;
  here   jsonb;
  target jsonb;
BEGIN
  SELECT * INTO found FROM consultation_by_id(wanted);
  IF found.id IS NULL THEN
    RETURN NULL;
  END IF;
  here := booking_snapshot(found.slot_id, found.patient_id, caller, claim_key);
  IF target_slot IS NOT NULL THEN
    SELECT jsonb_build_object('slot', to_jsonb(s),
             'occupant', (SELECT to_jsonb(c) FROM consultation_by_id(s.consultation_id) c)) INTO target
      FROM slots s WHERE s.id = target_slot;
  END IF;
  RETURN here || jsonb_build_object('consultation', to_jsonb(found), 'target', target);
END
$$;

-- What every unit of work carries besides its own changes. Returns 'answered' or 'handled' when the caller must give up;
-- then this function has written nothing, and a caller that has must raise.
CREATE FUNCTION commit_effects(effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  claim jsonb := effects -> 'answer';
  mark  jsonb := effects -> 'inbox';
BEGIN
  -- Seen in pg_stat_activity and the server's log until the transaction ends.
  PERFORM set_config('application_name', 'amrutam ' || (effects ->> 'correlation_id'), true)
    WHERE effects ->> 'correlation_id' IS NOT NULL;
  IF jsonb_typeof(claim) = 'object' THEN
    INSERT INTO idempotency_keys AS k (caller_id, key, fingerprint, answer, created_at)
      VALUES ((claim ->> 'caller')::uuid, claim ->> 'key', decode(claim ->> 'fingerprint', 'hex'), claim -> 'answer', now())
      ON CONFLICT (caller_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
        WHERE k.created_at <= now() - interval '24 hours';
    IF NOT FOUND THEN
      RETURN 'answered';
    END IF;
  END IF;
  IF jsonb_typeof(mark) = 'object' THEN
    INSERT INTO inbox (consumer, event_id) VALUES (mark ->> 'consumer', (mark ->> 'event')::uuid) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      IF jsonb_typeof(claim) = 'object' THEN RAISE EXCEPTION 'amrutam:handled'; END IF;
      RETURN 'handled';
    END IF;
  END IF;
  INSERT INTO outbox (event_id, aggregate_id, envelope)
    SELECT (e ->> 'id')::uuid, (e #>> '{aggregate,id}')::uuid, e
    FROM jsonb_array_elements(effects -> 'events') WITH ORDINALITY AS x (e, n) ORDER BY n;
  INSERT INTO audit_log (id, occurred_at, actor_id, actor, action, resource_kind, resource_id, patient_id, outcome, correlation_id)
    SELECT id, occurred_at, actor_id, actor, action, resource_kind, resource_id, patient_id, outcome, correlation_id
    FROM jsonb_to_recordset(effects -> 'audit') AS x (id uuid, occurred_at timestamptz, actor_id uuid, actor text, action text,
      resource_kind text, resource_id text, patient_id uuid, outcome text, correlation_id text);
  RETURN 'ok';
END
$$;

-- One booking use case, whole or not at all. Locks in one order: slots by id, consultations by id, calendars by patient.
-- Nobody queues on a slot: a locked one is 'busy'. Refusals found before the first write are returned; one found later is
-- raised, so that everything rolls back.
CREATE FUNCTION commit_booking(changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  wanted   int := jsonb_array_length(changes -> 'slots');
  locked   int;
  current  int;
  verdict  text;
  affected int;
BEGIN
  IF wanted > 0 THEN
    SELECT count(*), count(*) FILTER (WHERE s.version = x.version - 1) INTO locked, current
      FROM (SELECT id, version FROM slots
              WHERE id IN (SELECT (e ->> 'id')::uuid FROM jsonb_array_elements(changes -> 'slots') e)
              ORDER BY id FOR UPDATE SKIP LOCKED) s
      JOIN jsonb_to_recordset(changes -> 'slots') AS x (id uuid, version bigint) USING (id);
    IF locked < wanted THEN RETURN 'busy'; END IF;
    IF current < wanted THEN RETURN 'stale'; END IF;
  END IF;

  wanted := jsonb_array_length(changes -> 'updated');
  IF wanted > 0 THEN
    SELECT count(*) INTO current
      FROM (SELECT c.version, x.expected_version
              FROM consultations c
              JOIN jsonb_to_recordset(changes -> 'updated') AS x (id uuid, created_at timestamptz, expected_version bigint)
                USING (id, created_at)
              ORDER BY c.id FOR UPDATE OF c) l
      WHERE version = expected_version;
    IF current < wanted THEN RETURN 'stale'; END IF;
  END IF;

  verdict := commit_effects(changes -> 'effects');
  IF verdict <> 'ok' THEN RETURN verdict; END IF;

  wanted := jsonb_array_length(changes -> 'calendars');
  IF wanted > 0 THEN
    INSERT INTO patient_calendars AS p (patient_id, version, live)
      SELECT patient_id, version, live
      FROM jsonb_to_recordset(changes -> 'calendars') AS x (patient_id uuid, version bigint, live jsonb)
      -- A scalar subquery: EXISTS beside OR would be hashed, which reads every calendar there is.
      WHERE version = 1 OR (SELECT true FROM patient_calendars known WHERE known.patient_id = x.patient_id)
      ORDER BY patient_id
      ON CONFLICT (patient_id) DO UPDATE SET version = excluded.version, live = excluded.live
        WHERE p.version = excluded.version - 1;
    GET DIAGNOSTICS affected = ROW_COUNT;
    IF affected < wanted THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END IF;

  UPDATE slots s SET status = x.status, consultation_id = x.consultation_id, held_until = x.held_until, version = x.version
    FROM jsonb_to_recordset(changes -> 'slots') AS x (id uuid, status text, consultation_id uuid, held_until timestamptz, version bigint)
    WHERE s.id = x.id;

  IF jsonb_array_length(changes -> 'updated') > 0 THEN
    UPDATE consultations c
      SET slot_id = x.slot_id, starts_at = x.starts_at, ends_at = x.ends_at, mode = x.mode, status = x.status,
          hold_expires_at = x.hold_expires_at, cancel_reason = x.cancel_reason, updated_at = x.updated_at, version = x.version
      FROM jsonb_to_recordset(changes -> 'updated') AS x (id uuid, created_at timestamptz, slot_id uuid, starts_at timestamptz,
        ends_at timestamptz, mode text, status text, hold_expires_at timestamptz, cancel_reason text, updated_at timestamptz,
        version bigint)
      WHERE c.id = x.id AND c.created_at = x.created_at;
  END IF;

  IF jsonb_array_length(changes -> 'created') > 0 THEN
    INSERT INTO consultations (id, created_at, patient_id, doctor_id, slot_id, starts_at, ends_at, mode, status, fee_amount,
                               fee_currency, hold_expires_at, cancel_reason, updated_at, version)
      SELECT id, created_at, patient_id, doctor_id, slot_id, starts_at, ends_at, mode, status, fee_amount,
             fee_currency, hold_expires_at, cancel_reason, updated_at, version
      FROM jsonb_to_recordset(changes -> 'created') AS x (id uuid, created_at timestamptz, patient_id uuid, doctor_id uuid,
        slot_id uuid, starts_at timestamptz, ends_at timestamptz, mode text, status text, fee_amount bigint, fee_currency text,
        hold_expires_at timestamptz, cancel_reason text, updated_at timestamptz, version bigint);
    INSERT INTO phi.visit_reasons (consultation_id, patient_id, sealed)
      SELECT (e ->> 'id')::uuid, (e ->> 'patient_id')::uuid, decode(e ->> 'sealed_reason', 'hex')
      FROM jsonb_array_elements(changes -> 'created') e WHERE e ->> 'sealed_reason' IS NOT NULL;
  END IF;

  INSERT INTO consultation_timeline (consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
                                     slot_id, actor, cause, event_id, correlation_id)
    SELECT consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
           slot_id, actor, cause, event_id, correlation_id
    FROM jsonb_to_recordset(changes -> 'timeline') AS x (consultation_id uuid, consultation_created_at timestamptz,
      version bigint, at timestamptz, kind text, from_status text, to_status text, slot_id uuid, actor text, cause text,
      event_id uuid, correlation_id text);
  RETURN 'ok';
END
$$;

GRANT EXECUTE ON FUNCTION uuid_v7_time(uuid), consultation_by_id(uuid), booking_snapshot(uuid, uuid, uuid, text),
  consultation_snapshot(uuid, uuid, uuid, text), commit_effects(jsonb), commit_booking(jsonb) TO amrutam_app;
