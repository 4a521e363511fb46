CREATE TABLE doctors (
  id                  uuid PRIMARY KEY,
  account_id          uuid NOT NULL UNIQUE REFERENCES accounts (id),
  full_name           text NOT NULL,
  system              text NOT NULL CHECK (system IN ('ayurveda', 'siddha', 'unani', 'homoeopathy', 'allopathy')),
  council             text NOT NULL,
  registration_number text NOT NULL,
  registered_on       date,
  valid_until         date,
  qualifications      text[] NOT NULL,
  specializations     text[] NOT NULL,
  languages           text[] NOT NULL,
  modes               text[] NOT NULL CHECK (modes <@ ARRAY['video', 'audio', 'chat'] AND cardinality(modes) > 0),
  fee_amount          bigint NOT NULL CHECK (fee_amount >= 0),
  fee_currency        text NOT NULL CHECK (fee_currency IN ('INR', 'USD', 'EUR', 'GBP', 'AED')),
  bio                 text NOT NULL,
  time_zone           text NOT NULL,
  status              text NOT NULL CHECK (status IN ('applied', 'verified', 'listed', 'suspended', 'expired')),
  version             bigint NOT NULL CHECK (version > 0),
  created_at          timestamptz NOT NULL,
  updated_at          timestamptz NOT NULL,
  CONSTRAINT doctors_registration_key UNIQUE (council, registration_number),
  CHECK (valid_until >= registered_on)
);

-- The directory lists by name or by fee, listed ones only.
CREATE INDEX doctors_by_name ON doctors (full_name, id) WHERE status = 'listed';
CREATE INDEX doctors_by_fee ON doctors (fee_currency, fee_amount, id) WHERE status = 'listed';
CREATE INDEX doctors_specializations ON doctors USING gin (specializations) WHERE status = 'listed';

-- One row per practitioner with rules: its revision serializes changes of rules, absences and slots.
CREATE TABLE availability (
  doctor_id       uuid PRIMARY KEY REFERENCES doctors (id),
  -- What readers compare: rises with the rules and absences, not with the days.
  version         bigint NOT NULL CHECK (version >= 0),
  revision        bigint NOT NULL CHECK (revision > 0),
  -- Slots exist for the practitioner's days before this one.
  generated_until date NOT NULL
);

CREATE TABLE availability_rules (
  doctor_id      uuid NOT NULL REFERENCES doctors (id),
  position       int NOT NULL,
  weekday        smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7), -- ISO 8601: Monday is 1
  start_time     time NOT NULL,
  end_time       time NOT NULL,
  slot_minutes   int NOT NULL CHECK (slot_minutes BETWEEN 5 AND 240),
  buffer_minutes int NOT NULL CHECK (buffer_minutes BETWEEN 0 AND 120),
  modes          text[] NOT NULL CHECK (modes <@ ARRAY['video', 'audio', 'chat'] AND cardinality(modes) > 0),
  valid_from     date,
  valid_until    date,
  PRIMARY KEY (doctor_id, position),
  CHECK (end_time > start_time),
  CHECK (valid_until >= valid_from)
);

CREATE TABLE time_off (
  id        uuid PRIMARY KEY,
  doctor_id uuid NOT NULL REFERENCES doctors (id),
  starts_at timestamptz NOT NULL,
  ends_at   timestamptz NOT NULL CHECK (ends_at > starts_at),
  note      text
);
CREATE INDEX time_off_by_doctor ON time_off (doctor_id, ends_at);

GRANT SELECT, INSERT, UPDATE ON doctors, availability TO amrutam_app;
GRANT SELECT, INSERT, DELETE ON availability_rules, time_off TO amrutam_app;
GRANT SELECT ON doctors, availability, availability_rules TO amrutam_reader;
