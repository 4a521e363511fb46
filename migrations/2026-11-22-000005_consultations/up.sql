-- By month of creation. The id's first 48 bits are created_at in milliseconds, so a look-up by id names its partition.
CREATE TABLE consultations (
  id              uuid NOT NULL,
  created_at      timestamptz NOT NULL,
  patient_id      uuid NOT NULL REFERENCES accounts (id),
  doctor_id       uuid NOT NULL REFERENCES doctors (id),
  slot_id         uuid NOT NULL REFERENCES slots (id),
  starts_at       timestamptz NOT NULL,
  ends_at         timestamptz NOT NULL,
  mode            text NOT NULL CHECK (mode IN ('video', 'audio', 'chat')),
  status          text NOT NULL CHECK (status IN
                    ('pending', 'confirmed', 'in_progress', 'completed', 'expired', 'cancelled', 'no_show')),
  fee_amount      bigint NOT NULL CHECK (fee_amount >= 0),
  fee_currency    text NOT NULL,
  hold_expires_at timestamptz,
  cancel_reason   text,
  updated_at      timestamptz NOT NULL,
  version         bigint NOT NULL CHECK (version > 0),
  PRIMARY KEY (id, created_at),
  CHECK (ends_at > starts_at),
  CHECK ((status = 'pending') = (hold_expires_at IS NOT NULL)),
  CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL))
) PARTITION BY RANGE (created_at);

CREATE INDEX consultations_by_patient ON consultations (patient_id, starts_at, id);
CREATE INDEX consultations_by_doctor ON consultations (doctor_id, starts_at, id);
-- Everybody's, for administration.
CREATE INDEX consultations_by_start ON consultations (starts_at, id);
CREATE INDEX consultations_holds ON consultations (hold_expires_at) WHERE status = 'pending';

-- One row per version of a consultation, in the partition of its consultation.
CREATE TABLE consultation_timeline (
  consultation_id         uuid NOT NULL,
  consultation_created_at timestamptz NOT NULL,
  version                 bigint NOT NULL CHECK (version > 0),
  at                      timestamptz NOT NULL,
  kind                    text NOT NULL CHECK (kind IN ('status_changed', 'rescheduled', 'noted')),
  from_status             text,
  to_status               text NOT NULL,
  slot_id                 uuid NOT NULL,
  actor                   text NOT NULL,
  cause                   text NOT NULL,
  event_id                uuid NOT NULL,
  correlation_id          text NOT NULL,
  PRIMARY KEY (consultation_id, version, consultation_created_at)
) PARTITION BY RANGE (consultation_created_at);

-- A patient's live visits: what a booking must not overlap. Its version serializes one patient's bookings.
CREATE TABLE patient_calendars (
  patient_id uuid PRIMARY KEY REFERENCES accounts (id),
  version    bigint NOT NULL CHECK (version > 0),
  live       jsonb NOT NULL
) WITH (fillfactor = 70);

-- The patient's reason for the visit, sealed by the application.
CREATE TABLE phi.visit_reasons (
  consultation_id uuid PRIMARY KEY,
  patient_id      uuid NOT NULL,
  sealed          bytea NOT NULL
);

CREATE TABLE idempotency_keys (
  caller_id    uuid NOT NULL,
  key          text NOT NULL,
  fingerprint  bytea NOT NULL CHECK (length(fingerprint) = 32),
  answer       jsonb NOT NULL,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING brin (created_at);

GRANT SELECT, INSERT, UPDATE ON consultations, patient_calendars, idempotency_keys TO amrutam_app;
GRANT DELETE ON idempotency_keys TO amrutam_app;
GRANT SELECT, INSERT ON consultation_timeline, phi.visit_reasons TO amrutam_app;
GRANT SELECT ON consultations, consultation_timeline TO amrutam_reader;
