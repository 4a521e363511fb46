-- The slot's row is the one guard against a double booking: no unique index can span the partitions of consultations.
CREATE TABLE slots (
  id              uuid PRIMARY KEY,
  doctor_id       uuid NOT NULL REFERENCES doctors (id),
  starts_at       timestamptz NOT NULL,
  ends_at         timestamptz NOT NULL,
  modes           text[] NOT NULL CHECK (modes <@ ARRAY['video', 'audio', 'chat'] AND cardinality(modes) > 0),
  status          text NOT NULL CHECK (status IN ('open', 'booked', 'blocked', 'withdrawn')),
  consultation_id uuid,
  -- While its consultation is pending: when the hold ends. Compared when somebody claims the slot.
  held_until      timestamptz,
  outside_rules   boolean NOT NULL DEFAULT false,
  version         bigint NOT NULL CHECK (version > 0),
  -- Indexed in place of status, which changes with every booking: so a booking stays a heap-only update.
  withdrawn       boolean NOT NULL GENERATED ALWAYS AS (status = 'withdrawn') STORED,
  CHECK (ends_at > starts_at),
  CHECK ((status = 'booked') = (consultation_id IS NOT NULL)),
  CHECK (held_until IS NULL OR status = 'booked'),
  CONSTRAINT slots_do_not_overlap EXCLUDE USING gist
    (doctor_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (NOT withdrawn)
) WITH (fillfactor = 80);

CREATE INDEX slots_by_doctor ON slots (doctor_id, starts_at, id) WHERE NOT withdrawn;

GRANT SELECT, INSERT, UPDATE ON slots TO amrutam_app;
GRANT SELECT ON slots TO amrutam_reader;
