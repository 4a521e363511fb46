-- The people whose visits an account books: who they are is sealed under a key of their own. And what practitioners write about a
-- visit when they complete it.

-- Who is kept no more stays while the record of a visit names them.
CREATE TABLE phi.dependants (
  id         uuid PRIMARY KEY,
  keeper_id  uuid NOT NULL REFERENCES accounts (id),
  version    bigint NOT NULL CHECK (version > 0),
  sealed     bytea NOT NULL,
  added_at   timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  removed_at timestamptz
);
CREATE INDEX dependants_by_keeper ON phi.dependants (keeper_id, added_at, id);

-- Who is treated, when it is not the one who booked.
ALTER TABLE consultations ADD COLUMN dependant_id uuid;

-- A visit under way goes on in another mode.
ALTER TABLE consultation_timeline DROP CONSTRAINT consultation_timeline_kind_check;
ALTER TABLE consultation_timeline ADD CONSTRAINT consultation_timeline_kind_check
  CHECK (kind IN ('status_changed', 'rescheduled', 'mode_changed', 'noted')) NOT VALID;

-- Written once, with the visit's end.
CREATE TABLE phi.visit_summaries (
  consultation_id uuid PRIMARY KEY,
  patient_id      uuid NOT NULL,
  dependant_id    uuid,
  sealed          bytea NOT NULL
);

GRANT SELECT, INSERT, DELETE, UPDATE (version, sealed, updated_at, removed_at) ON phi.dependants TO amrutam_app;
GRANT SELECT, INSERT ON phi.visit_summaries TO amrutam_app;

-- One of an account's, with the visits of theirs that its calendar names.
CREATE FUNCTION dependant_kept(keeper uuid, wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('dependant', to_jsonb(d), 'calendar', coalesce(p.version, 0),
                   'visits', (SELECT coalesce(jsonb_agg(v), '[]') FROM jsonb_array_elements(p.live) v
                                WHERE (v ->> 'dependant_id')::uuid = wanted),
                   'ever_booked', EXISTS (SELECT FROM consultations c WHERE c.patient_id = keeper AND c.dependant_id = wanted))
            FROM phi.dependants d LEFT JOIN patient_calendars p ON p.patient_id = d.keeper_id
            WHERE d.id = wanted AND d.keeper_id = keeper);
END
$$;

CREATE FUNCTION count_dependants(keeper uuid) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT count(*) FROM phi.dependants d WHERE d.keeper_id = keeper AND d.removed_at IS NULL);
END
$$;

-- Those that an account keeps now, after the one that was added then and has that id.
CREATE FUNCTION list_dependants(keeper uuid, after_at timestamptz, after_id uuid, most int) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.added_at, d.id), '[]')
            FROM (SELECT * FROM phi.dependants
                    WHERE keeper_id = keeper AND removed_at IS NULL
                      AND (after_at IS NULL OR (added_at, id) > (after_at, after_id))
                    ORDER BY added_at, id LIMIT most) d);
END
$$;

-- One change of the people that an account keeps, whole or not at all. Who is added waits for the account's row, so that none is added
-- beside them; whose keeper's calendar has changed is not removed, and a booking that was decided before finds another calendar.
CREATE FUNCTION commit_dependant(change jsonb, effects jsonb) RETURNS text
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

GRANT EXECUTE ON FUNCTION dependant_kept(uuid, uuid), count_dependants(uuid), list_dependants(uuid, timestamptz, uuid, int),
  commit_dependant(jsonb, jsonb) TO amrutam_app;
