CREATE OR REPLACE FUNCTION settle_messages(settled jsonb) RETURNS SETOF uuid
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  mine     uuid[];
  given_up jsonb;
BEGIN
  WITH noted AS (
    UPDATE scheduled_messages m
      SET status = x.status, next_attempt_at = coalesce(x.next_attempt_at, m.next_attempt_at), detail = x.detail,
          settled_at = CASE WHEN x.status <> 'scheduled' THEN coalesce(x.settled_at, now()) END, leased_until = NULL,
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

CREATE OR REPLACE FUNCTION clinical_document(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(d) FROM phi.documents d WHERE d.prescription_id = wanted);
END
$$;
