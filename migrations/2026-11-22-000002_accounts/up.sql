CREATE TABLE accounts (
  id                uuid PRIMARY KEY,
  role              text NOT NULL CHECK (role IN ('patient', 'doctor', 'admin', 'auditor', 'support')),
  status            text NOT NULL CHECK (status IN ('active', 'deactivated')),
  -- A keyed digest of the normalized address, by which the account is found and is the only one of that address.
  email_index       bytea NOT NULL UNIQUE CHECK (length(email_index) = 16),
  email_verified_at timestamptz,
  -- None until an invited person has chosen a password.
  password_hash     text,
  password_set_at   timestamptz,
  time_zone         text NOT NULL,
  version           bigint NOT NULL CHECK (version > 0),
  created_at        timestamptz NOT NULL,
  CHECK ((password_hash IS NULL) = (password_set_at IS NULL))
);

-- Who an account is of and how they are reached, each value sealed by the application for this row and version of it.
CREATE TABLE phi.contacts (
  account_id    uuid PRIMARY KEY REFERENCES accounts (id),
  version       bigint NOT NULL CHECK (version > 0),
  email         bytea NOT NULL,
  full_name     bytea NOT NULL,
  phone         bytea,
  date_of_birth bytea,
  sex           bytea
);

-- Role, address and time of creation stay as they are; a role is changed by the owner.
GRANT SELECT, INSERT, UPDATE (status, email_verified_at, password_hash, password_set_at, time_zone, version) ON accounts
  TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (version, email, full_name, phone, date_of_birth, sex) ON phi.contacts TO amrutam_app;
