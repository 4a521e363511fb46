-- What a person must look at.

-- Work that no try helped, one row per piece of work, however often it dies.
CREATE TABLE dead_letters (
  id              uuid PRIMARY KEY,
  source          text NOT NULL CHECK (source IN ('event', 'message', 'gateway_task')),
  consumer        text NOT NULL,
  -- The event's, message's or task's id; of a body that is no event, made from its digest.
  subject_id      uuid NOT NULL,
  kind            text NOT NULL,
  -- An event's envelope, or what a task was about: ids and codes only. What can't be read may hold anything, and is sealed.
  payload         jsonb,
  sealed_body     bytea,
  headers         jsonb NOT NULL,
  error           text NOT NULL,
  attempts        int NOT NULL,
  redeliveries    int NOT NULL,
  deaths          int NOT NULL CHECK (deaths > 0),
  -- A copy of an event carries the number it had when it was sent: a death tells of which life it was.
  requeues        int NOT NULL CHECK (requeues >= 0),
  correlation_id  text,
  first_failed_at timestamptz NOT NULL,
  opened_at       timestamptz NOT NULL,
  died_at         timestamptz NOT NULL,
  state           text NOT NULL CHECK (state IN ('dead', 'requeued', 'settled', 'discarded')),
  discard_reason  text,
  updated_at      timestamptz NOT NULL,
  version         bigint NOT NULL,
  UNIQUE (source, consumer, subject_id),
  CHECK ((payload IS NULL) = (sealed_body IS NOT NULL)),
  CHECK ((state = 'discarded') = (discard_reason IS NOT NULL))
);
CREATE INDEX dead_letters_by_time ON dead_letters (opened_at, id);
CREATE INDEX dead_letters_open ON dead_letters (consumer, died_at) WHERE state = 'dead';
-- For forgetting.
CREATE INDEX dead_letters_done ON dead_letters (updated_at) WHERE state IN ('settled', 'discarded');

-- What a saga can't finish.
CREATE TABLE review_cases (
  id                   uuid PRIMARY KEY,
  kind                 text NOT NULL,
  subject_kind         text NOT NULL,
  subject_id           uuid NOT NULL,
  patient_id           uuid,
  consultation_id      uuid,
  reason               text NOT NULL,
  amount               bigint,
  currency             text,
  choices              jsonb NOT NULL CHECK (jsonb_array_length(choices) > 0),
  tried                jsonb NOT NULL,
  opened_at            timestamptz NOT NULL,
  opened_by_event      uuid NOT NULL,
  correlation_id       text NOT NULL,
  state                text NOT NULL CHECK (state IN ('open', 'awaiting_approval', 'resolved')),
  choice               text,
  moves_amount         bigint,
  moves_currency       text,
  decided_by           text,
  decided_at           timestamptz,
  sealed_note          bytea,
  note_version         bigint,
  approved_by          text,
  approved_at          timestamptz,
  sealed_approval_note bytea,
  approval_note_version bigint,
  updated_at           timestamptz NOT NULL,
  version              bigint NOT NULL,
  CHECK ((state = 'open') = (choice IS NULL)),
  CHECK ((choice IS NULL) = (decided_by IS NULL) AND (choice IS NULL) = (decided_at IS NULL)),
  -- Two people, or one: never the same one twice.
  CHECK (approved_by IS NULL OR approved_by <> decided_by)
);
-- One open case for one trouble.
CREATE UNIQUE INDEX review_cases_open ON review_cases (subject_kind, subject_id, reason) WHERE state <> 'resolved';
CREATE INDEX review_cases_by_time ON review_cases (opened_at, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters TO amrutam_app;
GRANT SELECT, INSERT, UPDATE ON review_cases TO amrutam_app;
-- Reports count and date; payloads and notes are none of theirs.
GRANT SELECT (id, source, consumer, kind, attempts, deaths, requeues, first_failed_at, opened_at, died_at, state,
  discard_reason, updated_at) ON dead_letters TO amrutam_reader;
GRANT SELECT (id, kind, subject_kind, reason, amount, currency, opened_at, state, choice, moves_amount, moves_currency,
  decided_at, approved_at, updated_at) ON review_cases TO amrutam_reader;

-- Tasks of ours that used up their tries, with whatever gives them up. One that was requeued and dies again is the letter it
-- was. The ids are the tasks' own for messages, new ones for others.
CREATE FUNCTION put_given_up(given_up jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO dead_letters AS d (id, source, consumer, subject_id, kind, payload, headers, error, attempts, redeliveries, deaths,
                                 requeues, correlation_id, first_failed_at, opened_at, died_at, state, updated_at, version)
    SELECT id, source, consumer, subject, kind, payload, '{}', error, attempts, 0, 1, 0, correlation_id,
           least(coalesce(first_failed_at, at), at), at, at, 'dead', at, 1
    FROM jsonb_to_recordset(given_up) AS x (id uuid, source text, consumer text, subject uuid, kind text, payload jsonb,
      error text, attempts int, correlation_id text, first_failed_at timestamptz, at timestamptz)
    ORDER BY source, consumer, subject
    ON CONFLICT (source, consumer, subject_id) DO UPDATE
      SET state = 'dead', discard_reason = NULL, error = excluded.error, attempts = excluded.attempts, deaths = d.deaths + 1,
          payload = excluded.payload, died_at = excluded.died_at, updated_at = excluded.updated_at, version = d.version + 1;
END
$$;

-- A requeued task was done in the end. For the functions that note a task as done; nothing when it never lay here.
CREATE FUNCTION settle_dead_letter(of_source text, of_consumer text, subject uuid, at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE dead_letters SET state = 'settled', updated_at = at, version = version + 1
    WHERE source = of_source AND consumer = of_consumer AND subject_id = subject AND state IN ('dead', 'requeued');
END
$$;

-- What is known of a caller's key.
CREATE FUNCTION recorded_answer(caller uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('fingerprint', encode(k.fingerprint, 'hex'), 'answer', k.answer)
            FROM idempotency_keys k
            WHERE k.caller_id = caller AND k.key = claim_key AND k.created_at > now() - interval '24 hours');
END
$$;

CREATE FUNCTION dead_letter_snapshot(wanted uuid, caller uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('found', to_jsonb(d), 'recorded', recorded_answer(caller, claim_key))
            FROM dead_letters d WHERE d.id = wanted);
END
$$;

CREATE FUNCTION dead_letter_about(of_source text, of_consumer text, subject uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(d) FROM dead_letters d
            WHERE d.source = of_source AND d.consumer = of_consumer AND d.subject_id = subject);
END
$$;

-- Nulls filter nothing.
CREATE FUNCTION list_dead_letters(in_state text, of_consumer text, of_source text, after_at timestamptz, after_id uuid, most int)
RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.opened_at, x.id), '[]') FROM (
    SELECT * FROM dead_letters d
      WHERE (in_state IS NULL OR d.state = in_state) AND (of_consumer IS NULL OR d.consumer = of_consumer)
        AND (of_source IS NULL OR d.source = of_source)
        AND (after_at IS NULL OR (d.opened_at, d.id) > (after_at, after_id))
      ORDER BY d.opened_at, d.id LIMIT most) x);
END
$$;

-- New at version 1, else the next version. `requeue`: its work begins again.
CREATE FUNCTION put_dead_letter(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  x dead_letters := jsonb_populate_record(NULL::dead_letters, change -> 'letter');
BEGIN
  IF x.version = 1 THEN
    INSERT INTO dead_letters SELECT x.* ON CONFLICT DO NOTHING;
  ELSE
    UPDATE dead_letters d
      SET headers = x.headers, error = x.error, attempts = x.attempts, redeliveries = x.redeliveries, deaths = x.deaths,
          requeues = x.requeues, died_at = x.died_at, state = x.state, discard_reason = x.discard_reason,
          updated_at = x.updated_at, version = x.version
      WHERE d.id = x.id AND d.version = x.version - 1;
  END IF;
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  IF (change ->> 'requeue')::boolean THEN
    CASE x.source
      WHEN 'event' THEN
        -- Under the letter's own id: should it not be publishable, it holds up no other event.
        INSERT INTO outbox (event_id, aggregate_id, envelope, requeue)
          VALUES (x.subject_id, x.id, x.payload,
                  jsonb_build_object('consumer', x.consumer, 'number', x.requeues, 'redeliveries', x.redeliveries));
      WHEN 'message' THEN
        -- With all its patience, but for a link: that ends when it ends.
        UPDATE scheduled_messages m
          SET status = 'scheduled', attempts = 0, next_attempt_at = now(), settled_at = NULL,
              due_at = CASE WHEN m.link_id IS NULL THEN x.updated_at ELSE m.due_at END
          WHERE m.id = x.subject_id AND m.status = 'gave_up';
      ELSE
        NULL;
    END CASE;
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

CREATE FUNCTION review_snapshot(wanted uuid, caller uuid, claim_key text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('found', to_jsonb(r), 'recorded', recorded_answer(caller, claim_key))
            FROM review_cases r WHERE r.id = wanted);
END
$$;

CREATE FUNCTION list_reviews(in_state text, of_kind text, after_at timestamptz, after_id uuid, most int) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.opened_at, x.id), '[]') FROM (
    SELECT * FROM review_cases r
      WHERE (in_state IS NULL OR r.state = in_state) AND (of_kind IS NULL OR r.kind = of_kind)
        AND (after_at IS NULL OR (r.opened_at, r.id) > (after_at, after_id))
      ORDER BY r.opened_at, r.id LIMIT most) x);
END
$$;

CREATE FUNCTION open_review_about(of_kind text, subject uuid, why text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM review_cases r
            WHERE r.subject_kind = of_kind AND r.subject_id = subject AND r.reason = why AND r.state <> 'resolved');
END
$$;

-- 'known' while one of the same subject and reason is not resolved: then of the effects only the inbox mark counts, since
-- nothing was opened that they could tell of.
CREATE FUNCTION open_review(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  x       review_cases := jsonb_populate_record(NULL::review_cases, change -> 'case');
  effects jsonb := change -> 'effects';
BEGIN
  INSERT INTO review_cases SELECT x.* ON CONFLICT DO NOTHING;
  IF FOUND THEN
    PERFORM must_commit_effects(effects);
    RETURN 'ok';
  END IF;
  PERFORM must_commit_effects(effects || '{"audit": [], "events": []}');
  RETURN 'known';
END
$$;

CREATE FUNCTION put_review(change jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  x review_cases := jsonb_populate_record(NULL::review_cases, change -> 'case');
BEGIN
  UPDATE review_cases r
    SET state = x.state, choice = x.choice, moves_amount = x.moves_amount, moves_currency = x.moves_currency,
        decided_by = x.decided_by, decided_at = x.decided_at, sealed_note = x.sealed_note, note_version = x.note_version,
        approved_by = x.approved_by, approved_at = x.approved_at, sealed_approval_note = x.sealed_approval_note,
        approval_note_version = x.approval_note_version, updated_at = x.updated_at, version = x.version
    WHERE r.id = x.id AND r.version = x.version - 1;
  IF NOT FOUND THEN
    RETURN 'stale';
  END IF;
  PERFORM must_commit_effects(change -> 'effects');
  RETURN 'ok';
END
$$;

GRANT EXECUTE ON FUNCTION put_given_up(jsonb), settle_dead_letter(text, text, uuid, timestamptz), recorded_answer(uuid, text),
  dead_letter_snapshot(uuid, uuid, text), dead_letter_about(text, text, uuid),
  list_dead_letters(text, text, text, timestamptz, uuid, int), put_dead_letter(jsonb), review_snapshot(uuid, uuid, text),
  list_reviews(text, text, timestamptz, uuid, int), open_review_about(text, uuid, text), open_review(jsonb), put_review(jsonb) TO amrutam_app;
