-- Identity's units of work, one statement each for their caller. They store what the domain has decided and decide nothing,
-- except which of several at once is first. Locks in one order: the account, its links, factors, recovery codes, tries,
-- sessions by id, refresh tokens.

-- The sealed half of an account.
CREATE FUNCTION put_contact(account jsonb) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO phi.contacts (account_id, version, email, full_name, phone, date_of_birth, sex)
    SELECT id, version, decode(email, 'hex'), decode(full_name, 'hex'), decode(phone, 'hex'), decode(date_of_birth, 'hex'),
           decode(sex, 'hex')
    FROM jsonb_to_record(account) AS x (id uuid, version bigint, email text, full_name text, phone text, date_of_birth text,
      sex text)
    ON CONFLICT (account_id) DO UPDATE
      SET version = excluded.version, email = excluded.email, full_name = excluded.full_name, phone = excluded.phone,
          date_of_birth = excluded.date_of_birth, sex = excluded.sex
$$;

CREATE FUNCTION put_link(link jsonb) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO account_links (id, account_id, purpose, digest, expires_at, spent_at)
    SELECT id, account_id, purpose, decode(digest, 'hex'), expires_at, spent_at
    FROM jsonb_to_record(link) AS x (id uuid, account_id uuid, purpose text, digest text, expires_at timestamptz,
      spent_at timestamptz)
$$;

CREATE FUNCTION put_refresh_token(session uuid, token jsonb) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO refresh_tokens (digest, session_id, generation, issued_at)
    SELECT decode(digest, 'hex'), session, generation, issued_at
    FROM jsonb_to_record(token) AS x (digest text, generation int, issued_at timestamptz)
$$;

-- In place of all others of the account.
CREATE FUNCTION put_recovery_codes(account uuid, codes jsonb) RETURNS void
LANGUAGE sql AS $$
  DELETE FROM recovery_codes WHERE account_id = account;
  INSERT INTO recovery_codes (account_id, digest) SELECT account, decode(code, 'hex') FROM jsonb_array_elements_text(codes) AS code
$$;

-- Which of an account's sessions ended by this.
CREATE FUNCTION end_unended(account uuid, ending jsonb) RETURNS uuid[]
LANGUAGE sql AS $$
  WITH theirs AS (
    SELECT id FROM sessions
      WHERE account_id = account AND ended_at IS NULL AND id IS DISTINCT FROM (ending ->> 'except')::uuid
      ORDER BY id FOR NO KEY UPDATE
  ), ended AS (
    UPDATE sessions s SET ended_at = (ending ->> 'at')::timestamptz, end_reason = ending ->> 'reason'
      FROM theirs WHERE s.id = theirs.id
      RETURNING s.id
  )
  SELECT coalesce(array_agg(id), '{}') FROM ended
$$;

-- Stores an account, unless its address is taken: then by whom, and nothing is written.
CREATE FUNCTION insert_account(change jsonb) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
  owner uuid;
BEGIN
  INSERT INTO accounts (id, role, status, email_index, email_verified_at, password_hash, password_set_at, time_zone, version,
                        created_at)
    SELECT id, role, status, decode(email_index, 'hex'), email_verified_at, password_hash, password_set_at, time_zone, version,
           created_at
    FROM jsonb_to_record(change -> 'account') AS x (id uuid, role text, status text, email_index text,
      email_verified_at timestamptz, password_hash text, password_set_at timestamptz, time_zone text, version bigint,
      created_at timestamptz)
    ON CONFLICT (email_index) DO NOTHING;
  IF NOT FOUND THEN
    SELECT id INTO STRICT owner FROM accounts WHERE email_index = decode(change #>> '{account,email_index}', 'hex');
    RETURN owner;
  END IF;
  PERFORM put_contact(change -> 'account');
  IF jsonb_typeof(change -> 'link') = 'object' THEN
    PERFORM put_link(change -> 'link');
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN NULL;
END
$$;

-- The sessions that ended; null when the stored version is another.
CREATE FUNCTION update_account(change jsonb) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change #>> '{account,id}')::uuid;
  ended   uuid[] := '{}';
BEGIN
  UPDATE accounts a
    SET status = x.status, email_verified_at = x.email_verified_at, password_hash = x.password_hash,
        password_set_at = x.password_set_at, time_zone = x.time_zone, version = x.version
    FROM jsonb_to_record(change -> 'account') AS x (status text, email_verified_at timestamptz, password_hash text,
      password_set_at timestamptz, time_zone text, version bigint)
    WHERE a.id = account AND a.version = x.version - 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  PERFORM put_contact(change -> 'account');
  IF jsonb_typeof(change -> 'spend') = 'object' THEN
    UPDATE account_links SET spent_at = (change #>> '{spend,at}')::timestamptz
      WHERE id = (change #>> '{spend,id}')::uuid AND account_id = account AND spent_at IS NULL;
    IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END IF;
  UPDATE account_links SET spent_at = (change ->> 'void_links')::timestamptz
    WHERE account_id = account AND spent_at IS NULL AND change ->> 'void_links' IS NOT NULL;
  IF jsonb_typeof(change -> 'end_sessions') = 'object' THEN
    ended := end_unended(account, change -> 'end_sessions');
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN ended;
END
$$;

CREATE FUNCTION issue_link(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change #>> '{link,account_id}')::uuid;
BEGIN
  -- Of two at once the later one sees the earlier one's link.
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  UPDATE account_links SET spent_at = (change ->> 'now')::timestamptz
    WHERE account_id = account AND purpose = change #>> '{link,purpose}' AND spent_at IS NULL;
  PERFORM put_link(change -> 'link');
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

-- For an account that is as it was when the password was checked: a reset under way is waited for.
CREATE FUNCTION open_session(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM accounts
    WHERE id = (change #>> '{session,account_id}')::uuid AND status = 'active'
      AND password_set_at IS NOT DISTINCT FROM (change ->> 'password_set_at')::timestamptz
    FOR SHARE;
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  INSERT INTO sessions (id, account_id, created_at, last_used_at, idle_expires_at, expires_at, second_factor_at, label, ended_at,
                        end_reason)
    SELECT id, account_id, created_at, last_used_at, idle_expires_at, expires_at, second_factor_at, label, ended_at, end_reason
    FROM jsonb_to_record(change -> 'session') AS x (id uuid, account_id uuid, created_at timestamptz, last_used_at timestamptz,
      idle_expires_at timestamptz, expires_at timestamptz, second_factor_at timestamptz, label text, ended_at timestamptz,
      end_reason text);
  PERFORM put_refresh_token((change #>> '{session,id}')::uuid, change -> 'token');
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

-- 'rotated', 'reused' or 'ended'.
CREATE FUNCTION rotate_refresh_token(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  session   uuid := (change #>> '{session,id}')::uuid;
  presented bytea := decode(change ->> 'presented', 'hex');
BEGIN
  -- One exchange of a session at a time: the next one sees what became of this.
  PERFORM FROM sessions WHERE id = session AND ended_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'ended';
  END IF;
  UPDATE refresh_tokens SET spent_at = (change #>> '{next,issued_at}')::timestamptz
    WHERE digest = presented AND session_id = session AND spent_at IS NULL;
  IF FOUND THEN
    PERFORM put_refresh_token(session, change -> 'next');
    UPDATE sessions
      SET last_used_at = (change #>> '{session,last_used_at}')::timestamptz,
          idle_expires_at = (change #>> '{session,idle_expires_at}')::timestamptz
      WHERE id = session;
    PERFORM must_commit_effects(change -> 'effects');
    RETURN 'rotated';
  END IF;
  IF NOT EXISTS (SELECT FROM refresh_tokens WHERE digest = presented AND session_id = session) THEN
    RETURN 'ended';
  END IF;
  UPDATE sessions SET ended_at = (change ->> 'reused_at')::timestamptz, end_reason = 'token_reused' WHERE id = session;
  PERFORM must_commit_effects(change -> 'reused_effects');
  RETURN 'reused';
END
$$;

-- Whether it was this that ended it.
CREATE FUNCTION end_session(change jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE sessions SET ended_at = (change ->> 'at')::timestamptz, end_reason = change ->> 'reason'
    WHERE id = (change ->> 'session')::uuid AND ended_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN true;
END
$$;

CREATE FUNCTION end_sessions(change jsonb) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
  ended uuid[] := end_unended((change ->> 'account')::uuid, change -> 'ending');
BEGIN
  PERFORM must_commit_effects(change -> 'effects');
  RETURN ended;
END
$$;

CREATE FUNCTION step_up_session(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE sessions SET second_factor_at = (change ->> 'at')::timestamptz WHERE id = (change ->> 'session')::uuid;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

-- One row per wanted session, in their order; null where there is none. A subquery per part, as in booking_snapshots.
CREATE FUNCTION session_states(wanted uuid[]) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY SELECT CASE WHEN s.id IS NOT NULL THEN jsonb_build_object(
      'account', s.account_id, 'role', a.role, 'second_factor_at', s.second_factor_at,
      'ended', s.ended_at IS NOT NULL OR a.status <> 'active',
      'ends_at', least(s.idle_expires_at, s.expires_at),
      'enrolled', f.state IS NOT NULL) END
    FROM unnest(wanted) WITH ORDINALITY AS x (session, n)
    LEFT JOIN LATERAL (SELECT * FROM sessions WHERE id = x.session OFFSET 0) s ON true
    LEFT JOIN LATERAL (SELECT role, status FROM accounts WHERE id = s.account_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (SELECT state FROM totp_factors WHERE account_id = s.account_id AND state = 'confirmed' OFFSET 0) f ON true
    ORDER BY n;
END
$$;

CREATE FUNCTION second_factor(account uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'factors', (SELECT coalesce(jsonb_agg(jsonb_build_object('state', state, 'secret', encode(secret, 'hex'), 'begun_at', begun_at,
                  'confirmed_at', confirmed_at, 'last_step', last_step)), '[]') FROM totp_factors WHERE account_id = account),
    'recovery_codes', (SELECT count(*) FROM recovery_codes WHERE account_id = account),
    'tries', (SELECT jsonb_build_object('at', tried_at, 'version', version) FROM second_factor_tries WHERE account_id = account))
$$;

-- Whether the stored version was the one before.
CREATE FUNCTION claim_second_factor_try(account uuid, tries timestamptz[], becoming bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF becoming = 1 THEN
    INSERT INTO second_factor_tries (account_id, tried_at, version) VALUES (account, tries, 1) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE second_factor_tries SET tried_at = tries, version = becoming WHERE account_id = account AND version = becoming - 1;
  END IF;
  RETURN FOUND;
END
$$;

-- Whether the proof was good still. It is used up by the statement that finds it so.
CREATE FUNCTION redeem_second_factor(change jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change ->> 'account')::uuid;
BEGIN
  IF change ->> 'step' IS NOT NULL THEN
    UPDATE totp_factors SET last_step = (change ->> 'step')::bigint
      WHERE account_id = account AND state = 'confirmed' AND last_step < (change ->> 'step')::bigint;
  ELSE
    DELETE FROM recovery_codes WHERE account_id = account AND digest = decode(change ->> 'recovery_code', 'hex');
  END IF;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF change ->> 'step' IS NOT NULL THEN
    UPDATE second_factor_tries
      SET tried_at = array_remove(tried_at, (change ->> 'tried_at')::timestamptz), version = version + 1
      WHERE account_id = account;
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN true;
END
$$;

CREATE FUNCTION begin_totp_factor(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change ->> 'account')::uuid;
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  DELETE FROM totp_factors WHERE account_id = account AND state = 'pending';
  INSERT INTO totp_factors (account_id, state, secret, begun_at)
    VALUES (account, 'pending', decode(change ->> 'secret', 'hex'), (change ->> 'begun_at')::timestamptz);
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

CREATE FUNCTION confirm_totp_factor(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change ->> 'account')::uuid;
  at      timestamptz := (change ->> 'at')::timestamptz;
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  IF NOT EXISTS (SELECT FROM totp_factors WHERE account_id = account AND state = 'pending'
                   AND begun_at = (change ->> 'begun_at')::timestamptz) THEN
    RETURN 'stale';
  END IF;
  DELETE FROM totp_factors WHERE account_id = account AND state = 'confirmed';
  UPDATE totp_factors SET state = 'confirmed', confirmed_at = at, last_step = (change ->> 'step')::bigint
    WHERE account_id = account AND state = 'pending';
  PERFORM put_recovery_codes(account, change -> 'codes');
  UPDATE sessions SET second_factor_at = at WHERE id = (change ->> 'session')::uuid AND account_id = account;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

CREATE FUNCTION replace_recovery_codes(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change ->> 'account')::uuid;
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  IF NOT EXISTS (SELECT FROM totp_factors WHERE account_id = account AND state = 'confirmed') THEN
    RETURN 'stale';
  END IF;
  PERFORM put_recovery_codes(account, change -> 'codes');
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

CREATE FUNCTION remove_totp_factor(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  account uuid := (change ->> 'account')::uuid;
BEGIN
  PERFORM FROM accounts WHERE id = account FOR NO KEY UPDATE;
  DELETE FROM totp_factors WHERE account_id = account AND state = 'confirmed';
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  DELETE FROM totp_factors WHERE account_id = account;
  PERFORM put_recovery_codes(account, '[]');
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

GRANT EXECUTE ON FUNCTION put_contact(jsonb), put_link(jsonb), put_refresh_token(uuid, jsonb), put_recovery_codes(uuid, jsonb),
  end_unended(uuid, jsonb), insert_account(jsonb), update_account(jsonb), issue_link(jsonb), open_session(jsonb),
  rotate_refresh_token(jsonb), end_session(jsonb), end_sessions(jsonb), step_up_session(jsonb), session_states(uuid[]),
  second_factor(uuid), claim_second_factor_try(uuid, timestamptz[], bigint), redeem_second_factor(jsonb),
  begin_totp_factor(jsonb), confirm_totp_factor(jsonb), replace_recovery_codes(jsonb), remove_totp_factor(jsonb) TO amrutam_app;
