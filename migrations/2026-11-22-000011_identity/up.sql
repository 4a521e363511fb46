-- Links, sessions and second factors. Of every secret only a digest is kept, or the secret sealed by the application. All of
-- it is the app's alone: reports need none of it.

CREATE TABLE account_links (
  id         uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES accounts (id),
  purpose    text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'invitation')),
  -- SHA-256 of the link's token.
  digest     bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
  expires_at timestamptz NOT NULL,
  spent_at   timestamptz
);
-- Only the newest link of a purpose works.
CREATE UNIQUE INDEX account_links_unspent ON account_links (account_id, purpose) WHERE spent_at IS NULL;
CREATE INDEX account_links_by_age ON account_links USING brin (expires_at);

CREATE TABLE sessions (
  id               uuid PRIMARY KEY,
  account_id       uuid NOT NULL REFERENCES accounts (id),
  created_at       timestamptz NOT NULL,
  last_used_at     timestamptz NOT NULL,
  idle_expires_at  timestamptz NOT NULL,
  expires_at       timestamptz NOT NULL,
  second_factor_at timestamptz,
  label            text NOT NULL CHECK (length(label) <= 200),
  ended_at         timestamptz,
  end_reason       text CHECK (end_reason IN ('logged_out', 'ended', 'password_changed', 'token_reused', 'deactivated')),
  CHECK ((ended_at IS NULL) = (end_reason IS NULL))
  -- Room for a use every 15 minutes to stay on its page: no index holds what it changes.
) WITH (fillfactor = 80);
CREATE INDEX sessions_unended ON sessions (account_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_age ON sessions USING brin (expires_at);

-- One row per token issued: a spent one that comes back is known as such for as long as its session could live.
CREATE TABLE refresh_tokens (
  -- SHA-256.
  digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
  session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  generation int NOT NULL CHECK (generation > 0),
  issued_at  timestamptz NOT NULL,
  spent_at   timestamptz
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- The factor in force and one that is being set up. The secret is sealed for the account and the time it was begun at, which
-- a factor keeps when it comes into force.
CREATE TABLE totp_factors (
  account_id   uuid NOT NULL REFERENCES accounts (id),
  state        text NOT NULL CHECK (state IN ('pending', 'confirmed')),
  secret       bytea NOT NULL,
  begun_at     timestamptz NOT NULL,
  confirmed_at timestamptz,
  -- No step up to this one is accepted any more.
  last_step    bigint,
  PRIMARY KEY (account_id, state),
  CHECK ((state = 'confirmed') = (confirmed_at IS NOT NULL)),
  CHECK ((state = 'confirmed') = (last_step IS NOT NULL))
);

-- Gone when used.
CREATE TABLE recovery_codes (
  account_id uuid NOT NULL REFERENCES accounts (id),
  -- SHA-256.
  digest     bytea NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (account_id, digest)
);

-- Wrong codes of late. They outlive the factor they were tried on.
CREATE TABLE second_factor_tries (
  account_id uuid PRIMARY KEY REFERENCES accounts (id),
  tried_at   timestamptz[] NOT NULL,
  version    bigint NOT NULL CHECK (version > 0)
);

GRANT SELECT, INSERT, UPDATE (spent_at), DELETE ON account_links TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (last_used_at, idle_expires_at, second_factor_at, ended_at, end_reason), DELETE ON sessions
  TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (spent_at), DELETE ON refresh_tokens TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (state, confirmed_at, last_step), DELETE ON totp_factors TO amrutam_app;
GRANT SELECT, INSERT, DELETE ON recovery_codes TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (tried_at, version) ON second_factor_tries TO amrutam_app;
