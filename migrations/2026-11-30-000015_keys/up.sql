-- Wrapped data keys, in a schema of their own that nothing else refers to: it may lie in another database (setting
-- keys.database_url), where this migration is the only one. Its backups are kept apart from those of what is sealed, and for a
-- short time: see docs/operations.md.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'amrutam_app') THEN
    CREATE ROLE amrutam_app NOLOGIN;
    GRANT amrutam_app TO CURRENT_USER;
  END IF;
END
$$;

CREATE SCHEMA keys;
GRANT USAGE ON SCHEMA keys TO amrutam_app;

-- Key-encryption keys by name. What they are made of is never here.
CREATE TABLE keys.keks (
  id            text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  first_used_at timestamptz NOT NULL,
  -- From then on nothing is wrapped under it.
  retired_at    timestamptz
);

-- One row per person, also of those whose keys are gone: they get no others.
CREATE TABLE keys.owners (
  owner_id     uuid PRIMARY KEY,
  -- Of the newest key; 0 when there never was one.
  version      int NOT NULL CHECK (version >= 0),
  made_at      timestamptz NOT NULL,
  -- How many seals of the newest have been taken.
  seals        bigint NOT NULL CHECK (seals >= 0),
  destroyed_at timestamptz
  -- Room for the next count to stay on its page: no index holds what it changes.
) WITH (fillfactor = 80);
CREATE INDEX owners_destroyed ON keys.owners (destroyed_at) WHERE destroyed_at IS NOT NULL;

CREATE TABLE keys.data_keys (
  owner_id    uuid NOT NULL REFERENCES keys.owners (owner_id),
  version     int NOT NULL CHECK (version > 0),
  kek_id      text NOT NULL REFERENCES keys.keks (id),
  wrapped     bytea NOT NULL,
  check_value bytea NOT NULL CHECK (length(check_value) = 16),
  PRIMARY KEY (owner_id, version)
);
CREATE INDEX data_keys_by_kek ON keys.data_keys (kek_id, owner_id, version);

GRANT SELECT, INSERT, UPDATE (retired_at) ON keys.keks TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (version, made_at, seals, destroyed_at) ON keys.owners TO amrutam_app;
GRANT SELECT, INSERT, UPDATE (kek_id, wrapped), DELETE ON keys.data_keys TO amrutam_app;

CREATE FUNCTION keys.as_json(key keys.data_keys) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('state', 'key', 'owner', key.owner_id, 'version', key.version, 'kek', key.kek_id,
    'wrapped', encode(key.wrapped, 'hex'), 'check_value', encode(key.check_value, 'hex'))
$$;

-- The newest key of an owner, with so many seals of it taken; or which version is to be made.
CREATE FUNCTION keys.take_seals(owner uuid, wanted bigint, most bigint, born_after timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  known keys.owners;
BEGIN
  -- A crash may forget the last of these notes: the bound lies 4096 times below what the algorithm bears. So none waits for the disk.
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE keys.owners o SET seals = o.seals + wanted
    WHERE o.owner_id = owner AND o.destroyed_at IS NULL AND o.version > 0 AND o.seals + wanted <= most AND o.made_at > born_after
    RETURNING * INTO known;
  IF FOUND THEN
    RETURN (SELECT keys.as_json(k) FROM keys.data_keys k WHERE k.owner_id = owner AND k.version = known.version);
  END IF;
  SELECT * INTO known FROM keys.owners o WHERE o.owner_id = owner;
  IF known.destroyed_at IS NOT NULL THEN
    RETURN '{"state": "erased"}';
  END IF;
  RETURN jsonb_build_object('state', 'next', 'version', coalesce(known.version, 0) + 1);
END
$$;

CREATE FUNCTION keys.find_key(owner uuid, wanted int) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    (SELECT keys.as_json(k) FROM keys.data_keys k WHERE k.owner_id = owner AND k.version = wanted),
    (SELECT '{"state": "erased"}'::jsonb FROM keys.owners o WHERE o.owner_id = owner AND o.destroyed_at IS NOT NULL),
    '{"state": "unknown"}'
  )
$$;

-- Whether something may be wrapped under it; holds it so that nobody retires it meanwhile. Whoever retires it waits for this
-- transaction, or this one for them.
CREATE FUNCTION keys.hold_kek(kek text, at timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  is_retired boolean;
BEGIN
  INSERT INTO keys.keks (id, first_used_at) VALUES (kek, at) ON CONFLICT (id) DO NOTHING;
  SELECT retired_at IS NOT NULL INTO STRICT is_retired FROM keys.keks WHERE id = kek FOR KEY SHARE;
  RETURN NOT is_retired;
END
$$;

-- The owner's next key. The owner's row serializes those who make it at once, and whoever destroys it.
CREATE FUNCTION keys.put_key(key jsonb, wanted bigint, at timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  new   record;
  known keys.owners;
BEGIN
  SELECT * INTO STRICT new
    FROM jsonb_to_record(key) AS x (owner uuid, version int, kek text, wrapped text, check_value text);
  INSERT INTO keys.owners (owner_id, version, made_at, seals) VALUES (new.owner, 0, at, 0) ON CONFLICT (owner_id) DO NOTHING;
  SELECT * INTO STRICT known FROM keys.owners WHERE owner_id = new.owner FOR NO KEY UPDATE;
  IF known.destroyed_at IS NOT NULL THEN
    RETURN 'erased';
  END IF;
  IF known.version <> new.version - 1 THEN
    RETURN 'outrun';
  END IF;
  IF NOT keys.hold_kek(new.kek, at) THEN
    RETURN 'kek_retired';
  END IF;
  INSERT INTO keys.data_keys (owner_id, version, kek_id, wrapped, check_value)
    VALUES (new.owner, new.version, new.kek, decode(new.wrapped, 'hex'), decode(new.check_value, 'hex'));
  UPDATE keys.owners SET version = new.version, made_at = at, seals = wanted WHERE owner_id = new.owner;
  RETURN 'stored';
END
$$;

-- Destroys an owner's keys for good, and says how many there were.
CREATE FUNCTION keys.destroy_keys(owner uuid, at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  gone bigint;
BEGIN
  INSERT INTO keys.owners AS o (owner_id, version, made_at, seals, destroyed_at) VALUES (owner, 0, at, 0, at)
    ON CONFLICT (owner_id) DO UPDATE SET destroyed_at = coalesce(o.destroyed_at, excluded.destroyed_at);
  DELETE FROM keys.data_keys k WHERE k.owner_id = owner;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END
$$;

-- Puts wrappings in place of those under `old`, where they still are; all or none.
CREATE FUNCTION keys.rewrap_keys(old text, wrappings jsonb, at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  kek  text;
  done bigint;
BEGIN
  FOR kek IN SELECT DISTINCT x.kek FROM jsonb_to_recordset(wrappings) AS x (kek text) ORDER BY 1 LOOP
    IF NOT keys.hold_kek(kek, at) THEN
      RETURN 0;
    END IF;
  END LOOP;
  UPDATE keys.data_keys k SET kek_id = x.kek, wrapped = decode(x.wrapped, 'hex')
    FROM jsonb_to_recordset(wrappings) AS x (owner uuid, version int, kek text, wrapped text)
    WHERE k.owner_id = x.owner AND k.version = x.version AND k.kek_id = old;
  GET DIAGNOSTICS done = ROW_COUNT;
  RETURN done;
END
$$;

-- Retires a key-encryption key that wraps nothing; else says how much it wraps.
CREATE FUNCTION keys.retire_kek(kek text, at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  wraps bigint;
BEGIN
  INSERT INTO keys.keks (id, first_used_at) VALUES (kek, at) ON CONFLICT (id) DO NOTHING;
  PERFORM FROM keys.keks WHERE id = kek FOR UPDATE;
  SELECT count(*) INTO wraps FROM keys.data_keys WHERE kek_id = kek;
  IF wraps = 0 THEN
    UPDATE keys.keks SET retired_at = coalesce(retired_at, at) WHERE id = kek;
  END IF;
  RETURN wraps;
END
$$;
