-- The audit trail that proves itself. Entries are committed into the intake, with the changes they tell of or before the answer
-- of a read; one sealer moves them into the log, where each has a place without gaps, and signs. Opaque ids only: never a
-- name, an address or a clinical word.

-- Nothing was released with the first form of the table.
DROP TABLE audit_log;

-- Writers share nothing here but the right edge of one index. `xid` tells the sealer which entries nothing older can join any more.
-- What the sealer could not store fails here, with the request it belongs to: one entry would stop every later one.
CREATE TABLE audit_intake (
  xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq   bigint GENERATED ALWAYS AS IDENTITY,
  entry jsonb NOT NULL,
  PRIMARY KEY (xid, seq),
  -- Without counted repetitions: those cost more than all the rest.
  CONSTRAINT audit_intake_has_its_fields CHECK ((
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
    AND pg_column_size(entry) <= 2000) IS TRUE),
  -- A time for which the log has no partition.
  CONSTRAINT audit_intake_has_its_month CHECK (
    to_regclass('public.audit_log_' || to_char((entry ->> 'occurred_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY_MM')) IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_insert_scale_factor = 0,
        autovacuum_vacuum_insert_threshold = 100000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);

-- `idx` is the place in the log, from 0. By occurred_at first: pages of every search go by time, and an id's first 48 bits are its
-- time, so that a look-up by id is one by time as well.
CREATE TABLE audit_log (
  idx            bigint NOT NULL CHECK (idx >= 0),
  id             uuid NOT NULL,
  occurred_at    timestamptz NOT NULL,
  actor          text NOT NULL,
  actor_id       uuid,
  role           text NOT NULL,
  purpose        text NOT NULL,
  action         text NOT NULL,
  resource_kind  text NOT NULL,
  resource_id    text NOT NULL,
  patient_id     uuid,
  outcome        text NOT NULL CHECK (outcome IN ('allowed', 'denied', 'failed')),
  correlation_id text NOT NULL,
  origin         text,
  ruleset        text,
  break_glass    boolean NOT NULL,
  PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
CREATE UNIQUE INDEX audit_log_by_place ON audit_log (idx, occurred_at);
CREATE INDEX audit_log_by_patient ON audit_log (patient_id, occurred_at, id) WHERE patient_id IS NOT NULL;
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, occurred_at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_by_resource ON audit_log (resource_id, occurred_at, id);
CREATE INDEX audit_log_by_action ON audit_log (action, occurred_at, id);
CREATE INDEX audit_log_by_flow ON audit_log (correlation_id, occurred_at, id);

-- The Merkle tree: 256 hashes of 32 bytes a row, those of level 0 of leaves. Only the right edge grows.
CREATE TABLE audit_tiles (
  level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
  idx    bigint NOT NULL CHECK (idx >= 0),
  hashes bytea NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
  PRIMARY KEY (level, idx)
);
ALTER TABLE audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes don't compress

CREATE TABLE audit_checkpoints (
  size    bigint PRIMARY KEY CHECK (size > 0),
  note    text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE audit_cosignatures (
  size    bigint NOT NULL REFERENCES audit_checkpoints,
  witness text NOT NULL CHECK (length(witness) BETWEEN 1 AND 200),
  line    text NOT NULL CHECK (length(line) BETWEEN 1 AND 1000),
  made_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (size, witness)
);

-- How far the log is. `elsewhere`: it is kept in another database, and entries leave this one without being found in it.
CREATE TABLE audit_head (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch     bigint NOT NULL DEFAULT 0,
  next_idx  bigint NOT NULL DEFAULT 0,
  size      bigint NOT NULL DEFAULT 0 CHECK (size <= next_idx),
  elsewhere boolean NOT NULL DEFAULT false
);
INSERT INTO audit_head DEFAULT VALUES;

-- Months that were taken out of the log by retire_audit_month: their entries' hashes stay, and with them every proof.
CREATE TABLE audit_retired (
  month      date PRIMARY KEY,
  places     int8multirange NOT NULL,
  because    text NOT NULL,
  retired_at timestamptz NOT NULL DEFAULT now()
);

-- A person objects to an access that is on the record about them.
CREATE TABLE audit_objections (
  entry_id   uuid NOT NULL,
  account_id uuid NOT NULL,
  raised_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (entry_id, account_id)
);

-- Also the owner is refused. Whoever takes the triggers away is found by `amrutamctl audit verify`.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE FUNCTION refuse_tile_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (new.level, new.idx) = (old.level, old.idx)
     AND substr(new.hashes, 1, length(old.hashes)) = old.hashes THEN
    RETURN new;
  END IF;
  RAISE EXCEPTION 'the audit trail is only added to' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_tiles FOR EACH ROW EXECUTE FUNCTION refuse_tile_change();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON audit_tiles FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_cosignatures FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON audit_cosignatures FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON audit_retired FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays_as_it_is BEFORE UPDATE ON audit_intake FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON audit_intake FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- The app may add to the intake and to objections; all else goes through the functions below.
GRANT SELECT ON audit_intake TO amrutam_app;
-- Not its number nor its transaction: what an entry is taken by is the server's word.
GRANT INSERT (entry) ON audit_intake TO amrutam_app;
GRANT SELECT, INSERT ON audit_objections TO amrutam_app;
GRANT SELECT ON audit_log, audit_tiles, audit_checkpoints, audit_cosignatures, audit_head, audit_retired TO amrutam_app;
GRANT SELECT ON audit_intake, audit_log, audit_tiles, audit_checkpoints, audit_cosignatures, audit_head, audit_retired TO amrutam_reader;

-- The trail up to this moment, sealed or not: `idx` is null while an entry waits.
CREATE VIEW audit_entries AS
  SELECT idx, id, occurred_at, actor, actor_id, role, purpose, action, resource_kind, resource_id, patient_id, outcome,
         correlation_id, origin, ruleset, break_glass
  FROM audit_log
  UNION ALL
  SELECT NULL, e.id, e.occurred_at, e.actor, e.actor_id, e.role, e.purpose, e.action, e.resource_kind, e.resource_id, e.patient_id,
         e.outcome, e.correlation_id, e.origin, e.ruleset, e.break_glass
  FROM audit_intake i, jsonb_to_record(i.entry) AS e (id uuid, occurred_at timestamptz, actor text, actor_id uuid, role text,
    purpose text, action text, resource_kind text, resource_id text, patient_id uuid, outcome text, correlation_id text,
    origin text, ruleset text, break_glass boolean)
  WHERE (SELECT true FROM audit_log l WHERE l.occurred_at = e.occurred_at AND l.id = e.id) IS NULL;
GRANT SELECT ON audit_entries TO amrutam_app, amrutam_reader;

-- The oldest entries that nothing older can join: of transactions before every one that is still open. Each with its mark.
CREATE FUNCTION take_audit_intake(most int) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT jsonb_build_object('mark', i.xid::text || ' ' || i.seq, 'entry', i.entry)
    FROM audit_intake i WHERE i.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY i.xid, i.seq LIMIT most;
END
$$;

-- Removes the intake's entries up to a mark. Refused unless each is sealed here, or the log is known to be elsewhere.
CREATE FUNCTION forget_audit_intake(mark text, sealed bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  last_xid xid8 := split_part(mark, ' ', 1)::xid8;
  last_seq bigint := split_part(mark, ' ', 2)::bigint;
  head     public.audit_head;
  gone     bigint;
BEGIN
  SELECT * INTO head FROM audit_head;
  IF NOT head.elsewhere AND EXISTS (
    SELECT FROM audit_intake i WHERE (i.xid, i.seq) <= (last_xid, last_seq)
      AND coalesce((SELECT l.idx FROM audit_log l
                      WHERE l.occurred_at = (i.entry ->> 'occurred_at')::timestamptz AND l.id = (i.entry ->> 'id')::uuid), head.size)
          >= head.size)
  THEN
    RAISE EXCEPTION 'an entry that is not sealed would be forgotten';
  END IF;
  DELETE FROM audit_intake i WHERE (i.xid, i.seq) <= (last_xid, last_seq);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;

-- A new sealer's time begins; what those before it still write is refused.
CREATE FUNCTION begin_audit_epoch() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE audit_head SET epoch = epoch + 1 RETURNING epoch
$$;

-- Entries get the next places; those that are in the log already, as they are, are left out.
CREATE FUNCTION append_audit(sealer bigint, entries jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  head  public.audit_head;
  added bigint;
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE;
  IF head.epoch <> sealer THEN RETURN false; END IF;
  INSERT INTO audit_log (idx, id, occurred_at, actor, actor_id, role, purpose, action, resource_kind, resource_id, patient_id,
                         outcome, correlation_id, origin, ruleset, break_glass)
    SELECT head.next_idx + row_number() OVER (ORDER BY nth) - 1, id, occurred_at, actor, actor_id, role, purpose, action,
           resource_kind, resource_id, patient_id, outcome, correlation_id, origin, ruleset, break_glass
    FROM ROWS FROM (jsonb_to_recordset(entries) AS (id uuid, occurred_at timestamptz, actor text, actor_id uuid, role text,
      purpose text, action text, resource_kind text, resource_id text, patient_id uuid, outcome text, correlation_id text,
      origin text, ruleset text, break_glass boolean)) WITH ORDINALITY
      AS x (id, occurred_at, actor, actor_id, role, purpose, action, resource_kind, resource_id, patient_id, outcome,
            correlation_id, origin, ruleset, break_glass, nth)
    -- A subquery per entry: as a join it could be planned to read the whole log.
    WHERE (SELECT true FROM audit_log l WHERE l.occurred_at = x.occurred_at AND l.id = x.id) IS NULL;
  GET DIAGNOSTICS added = ROW_COUNT;
  -- Another entry under an id that is known would be left out unseen.
  IF added < jsonb_array_length(entries) AND EXISTS (SELECT FROM jsonb_array_elements(entries) AS x (entry),
               LATERAL (SELECT to_jsonb(l) - 'idx' - 'occurred_at' AS entry FROM audit_log l
                          WHERE l.occurred_at = (x.entry ->> 'occurred_at')::timestamptz AND l.id = (x.entry ->> 'id')::uuid) AS there
               WHERE there.entry <> x.entry - 'occurred_at')
  THEN
    RAISE EXCEPTION 'an entry is in the log under the same id with another content';
  END IF;
  UPDATE audit_head SET next_idx = next_idx + added;
  RETURN true;
END
$$;

-- The end of a batch: the tiles that have grown, and the signed checkpoint.
CREATE FUNCTION seal_audit(sealer bigint, sealed_before bigint, sealed_now bigint, tiles jsonb, signed text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  head public.audit_head;
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE;
  IF head.epoch <> sealer OR head.size <> sealed_before OR sealed_now > head.next_idx OR sealed_now <= sealed_before THEN
    RETURN false;
  END IF;
  INSERT INTO audit_tiles AS t (level, idx, hashes)
    SELECT level, idx, decode(hashes, 'hex') FROM jsonb_to_recordset(tiles) AS x (level smallint, idx bigint, hashes text)
    ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes;
  INSERT INTO audit_checkpoints (size, note) VALUES (sealed_now, signed);
  UPDATE audit_head SET size = sealed_now;
  RETURN true;
END
$$;

-- A witness's signature, beside the checkpoint.
CREATE FUNCTION add_audit_cosignature(at_size bigint, by_witness text, signature_line text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO audit_cosignatures (size, witness, line) VALUES (at_size, by_witness, signature_line) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END
$$;

-- An objection and its effects: false, and nothing of it, when it was raised before.
CREATE FUNCTION object_to_audit_entry(entry uuid, account uuid, effects jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  verdicts text[] := begin_effects(effects);
BEGIN
  INSERT INTO audit_objections (entry_id, account_id) VALUES (entry, account) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM store_effects(effects, claim_effects(effects, verdicts));
  RETURN true;
END
$$;

-- What counts as unusual: rules in data, each with its version and who approved it. A change is a new row with a higher version; the
-- highest one counts.
CREATE TABLE audit_alert_rules (
  code           text NOT NULL CHECK (code ~ '^[a-z_]{1,40}$'),
  version        int NOT NULL CHECK (version > 0),
  kind           text NOT NULL CHECK (kind IN ('many_patients', 'break_glass', 'without_visit')),
  roles          text[] NOT NULL,
  actions        text[] NOT NULL,
  threshold      int NOT NULL CHECK (threshold > 0),
  window_minutes int NOT NULL CHECK (window_minutes BETWEEN 1 AND 1440),
  enabled        boolean NOT NULL,
  source         text NOT NULL,
  approved_by    text NOT NULL,
  effective_from timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (code, version)
);
INSERT INTO audit_alert_rules (code, version, kind, roles, actions, threshold, window_minutes, enabled, source, approved_by) VALUES
  ('many_patients', 1, 'many_patients', '{doctor,support,admin}',
   '{account.read,consent.read,consultation.person,consultation.read,consultation.timeline,dead_letter.open_payload,dependant.read,
     erasure.read,note.read,payment.inspect,payment.read,prescription.document,prescription.read,record.read,review.read}',
   50, 60, true, 'ours: more than anybody treats in an hour', 'founders'),
  ('break_glass', 1, 'break_glass', '{doctor}', '{}', 1, 60, true, 'design: each emergency access is looked at', 'founders'),
  ('without_visit', 1, 'without_visit', '{doctor}',
   '{consent.read,consultation.person,note.add,note.read,note.write,prescription.document,prescription.draft,prescription.dry_run,
     prescription.read,prescription.revoke,prescription.sign,record.read}', 1, 60, true,
   'design: a record without a treating relationship', 'founders');

-- One per rule, person and window, so that what goes on is told once.
CREATE TABLE audit_alerts (
  code      text NOT NULL,
  version   int NOT NULL,
  actor_id  uuid NOT NULL,
  patient   text NOT NULL,
  bucket    timestamptz NOT NULL,
  entry_id  uuid NOT NULL,
  raised_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (code, actor_id, patient, bucket),
  FOREIGN KEY (code, version) REFERENCES audit_alert_rules
);
GRANT SELECT ON audit_alert_rules TO amrutam_app, amrutam_reader;
GRANT SELECT, INSERT ON audit_alerts TO amrutam_app;
GRANT SELECT ON audit_alerts TO amrutam_reader;

-- What is unusual and not told yet, in the current window and the one before: what happens after the last look into a window is seen
-- by the first look into the next. Windows begin at multiples of their length.
CREATE FUNCTION unusual_access() RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  rule  public.audit_alert_rules;
  width interval;
  since timestamptz;
BEGIN
  FOR rule IN SELECT DISTINCT ON (code) * FROM audit_alert_rules WHERE effective_from <= now() ORDER BY code, version DESC LOOP
    CONTINUE WHEN NOT rule.enabled;
    width := make_interval(mins => rule.window_minutes);
    FOREACH since IN ARRAY ARRAY[date_bin(width, now(), timestamptz '2000-01-01') - width,
                                 date_bin(width, now(), timestamptz '2000-01-01')] LOOP
      RETURN QUERY
        SELECT jsonb_build_object('code', rule.code, 'version', rule.version, 'actor', f.actor_id, 'patient', f.patient_id,
                                  'bucket', since, 'entry', f.entry_id)
        FROM (
          SELECT l.actor_id, CASE WHEN rule.kind = 'many_patients' THEN NULL ELSE l.patient_id END AS patient_id,
                 (array_agg(l.id ORDER BY l.occurred_at DESC))[1] AS entry_id
          FROM audit_log l
          WHERE l.occurred_at >= since AND l.occurred_at < since + width
            AND l.actor_id IS NOT NULL AND l.patient_id IS NOT NULL AND l.outcome = 'allowed'
            AND l.role = ANY (rule.roles) AND (rule.actions = '{}' OR l.action = ANY (rule.actions))
            AND CASE rule.kind
                  WHEN 'break_glass' THEN l.break_glass
                  WHEN 'without_visit' THEN NOT l.break_glass AND NOT EXISTS (
                    SELECT FROM consultations c JOIN doctors d ON d.id = c.doctor_id
                      WHERE d.account_id = l.actor_id AND c.patient_id = l.patient_id)
                  ELSE true END
          GROUP BY 1, 2
          HAVING count(DISTINCT l.patient_id) >= rule.threshold
        ) f
        WHERE NOT EXISTS (SELECT FROM audit_alerts a WHERE a.code = rule.code AND a.actor_id = f.actor_id
                            AND a.patient = coalesce(f.patient_id::text, '') AND a.bucket = since);
    END LOOP;
  END LOOP;
END
$$;

-- An alert and its effects: false, and nothing of it, when it was raised before.
CREATE FUNCTION raise_audit_alert(alert jsonb, effects jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  verdicts text[] := begin_effects(effects);
BEGIN
  INSERT INTO audit_alerts (code, version, actor_id, patient, bucket, entry_id)
    VALUES (alert ->> 'code', (alert ->> 'version')::int, (alert ->> 'actor')::uuid, coalesce(alert ->> 'patient', ''),
            (alert ->> 'bucket')::timestamptz, (alert ->> 'entry')::uuid)
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM store_effects(effects, claim_effects(effects, verdicts));
  RETURN true;
END
$$;

-- The retention procedure, for the owner: a month older than `years` leaves the log. Its hashes stay, so that every proof and
-- every checkpoint still holds, and it is on the record. Export the month before.
CREATE FUNCTION retire_audit_month(month date, because text, years int DEFAULT 7) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  child  text := format('audit_log_%s', to_char(month, 'YYYY_MM'));
  places int8multirange;
  -- A UUIDv7 of this millisecond.
  at     timestamptz := date_trunc('milliseconds', clock_timestamp());
  entry  uuid := (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
                  || '8' || substr(md5(random()::text), 1, 15))::uuid;
BEGIN
  IF years < 1 OR month <> date_trunc('month', month)::date OR month >= date_trunc('month', now() - make_interval(years => years))::date THEN
    RAISE EXCEPTION 'not a month that is over for % years', years;
  END IF;
  EXECUTE format('SELECT coalesce(range_agg(int8range(idx, idx + 1)), ''{}'') FROM public.%I', child) INTO places;
  IF upper(places) > (SELECT size FROM audit_head) THEN
    RAISE EXCEPTION 'not all of it is sealed';
  END IF;
  INSERT INTO audit_retired (month, places, because) VALUES (month, places, because);
  INSERT INTO audit_intake (entry) VALUES (jsonb_build_object(
    'id', entry, 'occurred_at', at, 'actor', 'system:retention', 'actor_id', NULL, 'role', 'system', 'purpose', 'operation',
    'action', 'audit.retire', 'resource_kind', 'audit_month',
    -- The month, and exactly these places: `audit verify` passes over no others.
    'resource_id', to_char(month, 'YYYY-MM-') || encode(sha256(convert_to(places::text, 'UTF8')), 'hex'), 'patient_id', NULL,
    'outcome', 'allowed', 'correlation_id', entry::text, 'origin', NULL, 'ruleset', NULL, 'break_glass', false));
  EXECUTE format('DROP TABLE public.%I', child);
  RETURN coalesce((SELECT sum(upper(r) - lower(r)) FROM unnest(places) AS r), 0);
END
$$;

REVOKE ALL ON FUNCTION forget_audit_intake(text, bigint), begin_audit_epoch(), append_audit(bigint, jsonb),
  seal_audit(bigint, bigint, bigint, jsonb, text), add_audit_cosignature(bigint, text, text), retire_audit_month(date, text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_audit_intake(int), forget_audit_intake(text, bigint), begin_audit_epoch(), append_audit(bigint, jsonb),
  seal_audit(bigint, bigint, bigint, jsonb, text), add_audit_cosignature(bigint, text, text),
  object_to_audit_entry(uuid, uuid, jsonb), unusual_access(), raise_audit_alert(jsonb, jsonb) TO amrutam_app;

SELECT ensure_partitions((now() - interval '2 months')::date, (now() + interval '3 months')::date);
