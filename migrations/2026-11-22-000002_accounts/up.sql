CREATE TABLE accounts (
  id            uuid PRIMARY KEY,
  role          text NOT NULL CHECK (role IN ('patient', 'doctor', 'admin')),
  -- Normalized by the application: trimmed, lower case.
  email         text NOT NULL UNIQUE CHECK (email = lower(email) AND length(email) <= 254),
  password_hash text NOT NULL,
  full_name     text NOT NULL,
  phone         text,
  date_of_birth date,
  sex           text CHECK (sex IN ('female', 'male', 'other')),
  time_zone     text NOT NULL,
  created_at    timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON accounts TO amrutam_app;
