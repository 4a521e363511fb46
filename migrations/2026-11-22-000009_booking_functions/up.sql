-- The hot path in two round trips: read a snapshot, commit the changes decided on it. The functions decide nothing: they
-- lock, compare versions and store. Declared to diesel, so that their statements are prepared once per connection. Both
-- serve several calls at a time: those that come while others are under way go together.

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

-- One row per wanted slot, in their order. A subquery per part: joined, a plan made while the tables were small would read
-- them whole later. One plan for all calls: knowing the arrays changes nothing, and planning costs more than running.
CREATE FUNCTION booking_snapshots(wanted_slots uuid[], patients uuid[], dependants uuid[], callers uuid[], claim_keys text[]) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY SELECT jsonb_build_object(
      'recorded', (SELECT jsonb_build_object('fingerprint', encode(k.fingerprint, 'hex'), 'answer', k.answer)
                     FROM idempotency_keys k
                     WHERE k.caller_id = x.caller AND k.key = x.claim_key AND k.created_at > now() - interval '24 hours'),
      'slot', to_jsonb(s),
      'doctor', (SELECT jsonb_build_object('id', d.id, 'account_id', d.account_id, 'status', d.status, 'version', d.version,
                                           'registered_on', d.registered_on, 'valid_until', d.valid_until, 'modes', d.modes,
                                           'fee_amount', d.fee_amount, 'fee_currency', d.fee_currency)
                   FROM doctors d WHERE d.id = s.doctor_id),
      'occupant', CASE WHEN s.consultation_id IS NOT NULL THEN
                    (SELECT to_jsonb(c) FROM consultation_by_id(s.consultation_id) c) END,
      'calendar', (SELECT jsonb_build_object('version', p.version, 'live', p.live)
                     FROM patient_calendars p WHERE p.patient_id = x.patient),
      'keeps_dependant', CASE WHEN x.dependant IS NOT NULL THEN
                           EXISTS (SELECT FROM phi.dependants k
                                     WHERE k.id = x.dependant AND k.keeper_id = x.patient AND k.removed_at IS NULL) END)
    FROM unnest(wanted_slots, patients, dependants, callers, claim_keys) WITH ORDINALITY AS x (slot, patient, dependant, caller, claim_key, n)
    LEFT JOIN LATERAL (SELECT * FROM slots WHERE id = x.slot OFFSET 0) s ON true
    ORDER BY n;
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
  SELECT * INTO here
    FROM booking_snapshots(ARRAY[found.slot_id], ARRAY[found.patient_id], ARRAY[NULL::uuid], ARRAY[caller], ARRAY[claim_key]);
  IF target_slot IS NOT NULL THEN
    SELECT jsonb_build_object('slot', to_jsonb(s),
             'occupant', (SELECT to_jsonb(c) FROM consultation_by_id(s.consultation_id) c)) INTO target
      FROM slots s WHERE s.id = target_slot;
  END IF;
  RETURN here || jsonb_build_object('consultation', to_jsonb(found), 'target', target);
END
$$;

-- Units of work come in groups: each array's elements say in `n` whose they are, counted from 1, and the answer has a
-- verdict for each: 'ok', or why nothing of it was written ('busy', 'stale', 'answered', 'handled'). What is found out only
-- after something was written is raised; then nothing of the whole group is.

-- All are 'ok' so far.
CREATE FUNCTION begin_effects(effects jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
  -- Seen in pg_stat_activity and the server's log until the transaction ends.
  PERFORM set_config('application_name', left('amrutam ' || (effects ->> 'correlation_ids'), 63), true);
  RETURN array_fill('ok'::text, ARRAY[(effects ->> 'count')::int]);
END
$$;

-- Claims idempotency keys and inbox marks for those that are 'ok' so far, in one order, so that groups don't deadlock.
CREATE FUNCTION claim_effects(effects jsonb, verdicts text[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  late int;
BEGIN
  IF jsonb_array_length(effects -> 'answers') > 0 THEN
    FOR late IN
      WITH wanted AS (
        SELECT *, row_number() OVER (PARTITION BY caller, key ORDER BY n) AS turn
          FROM jsonb_to_recordset(effects -> 'answers') AS x (n int, caller uuid, key text, fingerprint text, answer jsonb)
          WHERE verdicts[n] = 'ok'
      ), kept AS (
        INSERT INTO idempotency_keys AS k (caller_id, key, fingerprint, answer, created_at)
          SELECT caller, key, decode(fingerprint, 'hex'), answer, now() FROM wanted WHERE turn = 1 ORDER BY caller, key
          ON CONFLICT (caller_id, key) DO UPDATE
            SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
            WHERE k.created_at <= now() - interval '24 hours'
          RETURNING caller_id AS caller, k.key
      )
      SELECT n FROM wanted LEFT JOIN kept USING (caller, key) WHERE turn > 1 OR kept.key IS NULL
    LOOP
      verdicts[late] := 'answered';
    END LOOP;
  END IF;
  IF jsonb_array_length(effects -> 'inbox') > 0 THEN
    FOR late IN
      WITH wanted AS (
        SELECT *, row_number() OVER (PARTITION BY consumer, event ORDER BY n) AS turn
          FROM jsonb_to_recordset(effects -> 'inbox') AS x (n int, consumer text, event uuid)
          WHERE verdicts[n] = 'ok'
      ), marked AS (
        INSERT INTO inbox (consumer, event_id) SELECT consumer, event FROM wanted WHERE turn = 1 ORDER BY consumer, event
          ON CONFLICT DO NOTHING
          RETURNING consumer, event_id AS event
      )
      SELECT n FROM wanted LEFT JOIN marked USING (consumer, event) WHERE turn > 1 OR marked.event IS NULL
    LOOP
      IF EXISTS (SELECT FROM jsonb_to_recordset(effects -> 'answers') AS x (n int) WHERE n = late) THEN
        RAISE EXCEPTION 'amrutam:handled';
      END IF;
      verdicts[late] := 'handled';
    END LOOP;
  END IF;
  RETURN verdicts;
END
$$;

-- Events, audit entries and work that is given up, of those that are 'ok'.
CREATE FUNCTION store_effects(effects jsonb, verdicts text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF jsonb_array_length(effects -> 'events') > 0 THEN
    INSERT INTO outbox (event_id, aggregate_id, envelope)
      SELECT (envelope ->> 'id')::uuid, (envelope #>> '{aggregate,id}')::uuid, envelope
      FROM ROWS FROM (jsonb_to_recordset(effects -> 'events') AS (n int, envelope jsonb)) WITH ORDINALITY AS x (n, envelope, nth)
      WHERE verdicts[n] = 'ok' ORDER BY nth;
  END IF;
  IF jsonb_array_length(effects -> 'audit') > 0 THEN
    INSERT INTO audit_intake (entry)
      SELECT entry
      FROM ROWS FROM (jsonb_to_recordset(effects -> 'audit') AS (n int, entry jsonb)) WITH ORDINALITY AS x (n, entry, nth)
      WHERE verdicts[n] = 'ok' ORDER BY nth;
  END IF;
  IF jsonb_array_length(effects -> 'given_up') > 0 THEN
    PERFORM put_given_up((SELECT coalesce(jsonb_agg(e), '[]') FROM jsonb_array_elements(effects -> 'given_up') e
                            WHERE verdicts[(e ->> 'n')::int] = 'ok'));
  END IF;
END
$$;

CREATE FUNCTION commit_effects(effects jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  verdicts text[] := claim_effects(effects, begin_effects(effects));
BEGIN
  PERFORM store_effects(effects, verdicts);
  RETURN verdicts;
END
$$;

-- Booking use cases, each whole or not at all. Locks in one order: slots by id, consultations by id, calendars by patient,
-- idempotency keys. Nobody queues on a slot: a locked one is 'busy'.
CREATE FUNCTION commit_bookings(changes jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  effects  jsonb := changes -> 'effects';
  verdicts text[] := begin_effects(effects);
  late     record;
  affected int;
BEGIN
  FOR late IN
    SELECT n, CASE WHEN s.id IS NULL THEN 'busy' ELSE 'stale' END AS verdict
      FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY n) AS turn
              FROM jsonb_to_recordset(changes -> 'slots') AS r (n int, id uuid, version bigint)) x
      LEFT JOIN (SELECT id, version FROM slots
                   WHERE id = ANY (ARRAY(SELECT (e ->> 'id')::uuid FROM jsonb_array_elements(changes -> 'slots') e))
                   ORDER BY id FOR UPDATE SKIP LOCKED) s USING (id)
      WHERE s.id IS NULL OR s.version <> x.version - 1 OR turn > 1
  LOOP
    verdicts[late.n] := late.verdict;
  END LOOP;

  -- Looked at, not locked: a profile that changes between here and COMMIT changed after this booking, which is as it would
  -- have been a moment earlier. A lock would be written to one row by all bookings of one practitioner.
  IF jsonb_array_length(changes -> 'doctors') > 0 THEN
    FOR late IN
      SELECT n FROM jsonb_to_recordset(changes -> 'doctors') AS x (n int, id uuid, version bigint)
        WHERE x.version IS DISTINCT FROM (SELECT d.version FROM doctors d WHERE d.id = x.id)
    LOOP
      verdicts[late.n] := 'stale';
    END LOOP;
  END IF;

  IF jsonb_array_length(changes -> 'updated') > 0 THEN
    FOR late IN
      SELECT n
        FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY n) AS turn
                FROM jsonb_to_recordset(changes -> 'updated') AS r (n int, id uuid, expected_version bigint)) x
        LEFT JOIN (SELECT c.id, c.version
                     FROM consultations c
                     JOIN jsonb_to_recordset(changes -> 'updated') AS u (id uuid, created_at timestamptz) USING (id, created_at)
                     ORDER BY c.id FOR UPDATE OF c) l USING (id)
        WHERE l.version IS DISTINCT FROM x.expected_version OR turn > 1
    LOOP
      verdicts[late.n] := 'stale';
    END LOOP;
  END IF;

  IF jsonb_array_length(changes -> 'calendars') > 0 THEN
    FOR late IN
      SELECT n
        FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY n) AS turn
                FROM jsonb_to_recordset(changes -> 'calendars') AS r (n int, patient_id uuid, version bigint)) x
        LEFT JOIN (SELECT patient_id, version FROM patient_calendars
                     WHERE patient_id = ANY (ARRAY(SELECT (e ->> 'patient_id')::uuid FROM jsonb_array_elements(changes -> 'calendars') e))
                     ORDER BY patient_id FOR UPDATE) p USING (patient_id)
        WHERE coalesce(p.version, 0) <> x.version - 1 OR turn > 1
    LOOP
      verdicts[late.n] := 'stale';
    END LOOP;
  END IF;

  verdicts := claim_effects(effects, verdicts);
  IF NOT 'ok' = ANY (verdicts) THEN RETURN verdicts; END IF;

  IF jsonb_array_length(changes -> 'calendars') > 0 THEN
    INSERT INTO patient_calendars AS p (patient_id, version, live)
      SELECT patient_id, version, live
      FROM jsonb_to_recordset(changes -> 'calendars') AS x (n int, patient_id uuid, version bigint, live jsonb)
      WHERE verdicts[n] = 'ok' ORDER BY patient_id
      ON CONFLICT (patient_id) DO UPDATE SET version = excluded.version, live = excluded.live
        WHERE p.version = excluded.version - 1;
    GET DIAGNOSTICS affected = ROW_COUNT;
    -- Two first bookings of one patient at the same time: the row that both would insert could not be locked before.
    IF affected < (SELECT count(*) FROM jsonb_to_recordset(changes -> 'calendars') AS x (n int) WHERE verdicts[n] = 'ok') THEN
      RAISE EXCEPTION 'amrutam:stale';
    END IF;
  END IF;

  UPDATE slots s SET status = x.status, consultation_id = x.consultation_id, held_until = x.held_until, version = x.version
    FROM jsonb_to_recordset(changes -> 'slots') AS x (n int, id uuid, status text, consultation_id uuid, held_until timestamptz,
      version bigint)
    WHERE s.id = x.id AND verdicts[x.n] = 'ok';

  IF jsonb_array_length(changes -> 'updated') > 0 THEN
    UPDATE consultations c
      SET slot_id = x.slot_id, starts_at = x.starts_at, ends_at = x.ends_at, mode = x.mode, status = x.status,
          hold_expires_at = x.hold_expires_at, cancel_reason = x.cancel_reason, least_notice_s = x.least_notice_s, updated_at = x.updated_at, version = x.version
      FROM jsonb_to_recordset(changes -> 'updated') AS x (n int, id uuid, created_at timestamptz, slot_id uuid, starts_at timestamptz,
        ends_at timestamptz, mode text, status text, hold_expires_at timestamptz, cancel_reason text, least_notice_s bigint, updated_at timestamptz,
        version bigint)
      WHERE c.id = x.id AND c.created_at = x.created_at AND verdicts[x.n] = 'ok';
  END IF;

  IF jsonb_array_length(changes -> 'created') > 0 THEN
    INSERT INTO consultations (id, created_at, patient_id, dependant_id, doctor_id, slot_id, starts_at, ends_at, mode, status, fee_amount,
                               fee_currency, hold_expires_at, cancel_reason, least_notice_s, updated_at, version)
      SELECT id, created_at, patient_id, dependant_id, doctor_id, slot_id, starts_at, ends_at, mode, status, fee_amount,
             fee_currency, hold_expires_at, cancel_reason, least_notice_s, updated_at, version
      FROM jsonb_to_recordset(changes -> 'created') AS x (n int, id uuid, created_at timestamptz, patient_id uuid, dependant_id uuid,
        doctor_id uuid, slot_id uuid, starts_at timestamptz, ends_at timestamptz, mode text, status text, fee_amount bigint, fee_currency text,
        hold_expires_at timestamptz, cancel_reason text, least_notice_s bigint, updated_at timestamptz, version bigint)
      WHERE verdicts[n] = 'ok';
  END IF;
  IF jsonb_array_length(changes -> 'reasons') > 0 THEN
    INSERT INTO phi.visit_reasons (consultation_id, patient_id, sealed)
      SELECT consultation_id, patient_id, decode(sealed, 'hex')
      FROM jsonb_to_recordset(changes -> 'reasons') AS x (n int, consultation_id uuid, patient_id uuid, sealed text)
      WHERE verdicts[n] = 'ok';
  END IF;

  IF jsonb_array_length(changes -> 'summaries') > 0 THEN
    INSERT INTO phi.visit_summaries (consultation_id, patient_id, dependant_id, sealed)
      SELECT consultation_id, patient_id, dependant_id, decode(sealed, 'hex')
      FROM jsonb_to_recordset(changes -> 'summaries') AS x (n int, consultation_id uuid, patient_id uuid, dependant_id uuid, sealed text)
      WHERE verdicts[n] = 'ok';
  END IF;

  INSERT INTO consultation_timeline (consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
                                     slot_id, actor, cause, event_id, correlation_id)
    SELECT consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
           slot_id, actor, cause, event_id, correlation_id
    FROM jsonb_to_recordset(changes -> 'timeline') AS x (n int, consultation_id uuid, consultation_created_at timestamptz,
      version bigint, at timestamptz, kind text, from_status text, to_status text, slot_id uuid, actor text, cause text,
      event_id uuid, correlation_id text)
    WHERE verdicts[n] = 'ok';
  PERFORM store_effects(effects, verdicts);
  RETURN verdicts;
END
$$;

GRANT EXECUTE ON FUNCTION uuid_v7_time(uuid), consultation_by_id(uuid), booking_snapshots(uuid[], uuid[], uuid[], uuid[], text[]),
  consultation_snapshot(uuid, uuid, uuid, text), claim_effects(jsonb, text[]), store_effects(jsonb, text[]), begin_effects(jsonb),
  commit_effects(jsonb), commit_bookings(jsonb) TO amrutam_app;
