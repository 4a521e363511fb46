CREATE OR REPLACE FUNCTION plan_messages(messages jsonb, effects jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  verdicts text[] := commit_effects(effects);
BEGIN
  IF jsonb_array_length(messages) > 0 THEN
    INSERT INTO scheduled_messages (id, dedupe_key, kind, channel, recipient_id, consultation_id, slot_starts_at, link_id, due_at,
                                    next_attempt_at, correlation_id, trace_parent)
      SELECT id, dedupe_key, kind, channel, recipient_id, consultation_id, slot_starts_at, link_id, due_at, due_at, correlation_id,
             trace_parent
      FROM jsonb_to_recordset(messages) AS x (n int, id uuid, dedupe_key text, kind text, channel text, recipient_id uuid,
        consultation_id uuid, slot_starts_at timestamptz, link_id uuid, due_at timestamptz, correlation_id text, trace_parent text)
      WHERE verdicts[n] = 'ok' ORDER BY dedupe_key
      ON CONFLICT (dedupe_key) DO NOTHING;
  END IF;
  RETURN verdicts;
END
$$;

CREATE OR REPLACE FUNCTION settle_messages(settled jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  mine     uuid[];
  given_up jsonb;
BEGIN
  WITH noted AS (
    UPDATE scheduled_messages m
      SET status = x.status, next_attempt_at = coalesce(x.next_attempt_at, m.next_attempt_at), detail = x.detail,
          settled_at = CASE WHEN x.status <> 'scheduled' THEN coalesce(x.settled_at, now()) END,
          maybe_sent = m.maybe_sent OR x.maybe_sent
      FROM jsonb_to_recordset(settled) AS x (id uuid, attempts int, status text, settled_at timestamptz,
        next_attempt_at timestamptz, detail text, maybe_sent boolean)
      WHERE m.id = x.id AND m.attempts = x.attempts AND m.status = 'scheduled'
      RETURNING m.*
  ), done AS (
    UPDATE dead_letters d SET state = 'settled', updated_at = noted.settled_at, version = d.version + 1
      FROM noted
      WHERE noted.status IN ('sent', 'skipped') AND d.source = 'message' AND d.consumer = noted.channel AND d.subject_id = noted.id
        AND d.state IN ('dead', 'requeued')
  )
  SELECT array_agg(id), jsonb_agg(jsonb_build_object(
      'id', id, 'source', 'message', 'consumer', channel, 'subject', id, 'kind', kind, 'error', coalesce(detail, ''),
      'attempts', attempts, 'correlation_id', correlation_id, 'at', settled_at,
      'payload', jsonb_build_object('message_id', id, 'recipient_id', recipient_id, 'consultation_id', consultation_id,
        'slot_starts_at', slot_starts_at, 'link_id', link_id, 'due_at', due_at, 'maybe_sent', maybe_sent)))
      FILTER (WHERE status = 'gave_up')
    INTO mine, given_up FROM noted;
  IF given_up IS NOT NULL THEN PERFORM put_given_up(given_up); END IF;
  RETURN QUERY SELECT unnest(mine);
END
$$;

CREATE OR REPLACE FUNCTION claim_due_messages(lease_us bigint, most int) RETURNS jsonb
-- Not LANGUAGE sql: that would plan it anew at each call.
LANGUAGE plpgsql AS $$
DECLARE
  messages jsonb;
BEGIN
  WITH claimed AS (
    UPDATE scheduled_messages m SET attempts = m.attempts + 1, next_attempt_at = now() + lease_us * interval '1 microsecond'
      -- An array: the planner can't know how small a limit is that comes as a parameter, and would join over all rows.
      WHERE m.id = ANY (ARRAY(SELECT id FROM scheduled_messages WHERE status = 'scheduled' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT most FOR UPDATE SKIP LOCKED))
      RETURNING m.*
  )
  SELECT coalesce(jsonb_agg(to_jsonb(claimed) ORDER BY due_at, id), '[]') INTO messages FROM claimed;
  RETURN messages;
END
$$;

-- Who has one keeps it.
UPDATE scheduled_messages SET next_attempt_at = greatest(next_attempt_at, leased_until)
  WHERE status = 'scheduled' AND leased_until > now();
ALTER TABLE scheduled_messages RESET (fillfactor);
ALTER TABLE scheduled_messages DROP COLUMN leased_until;
