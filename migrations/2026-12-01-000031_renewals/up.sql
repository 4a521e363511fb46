-- A gateway that stores a failure under the key it was asked with repeats it for ever: it is asked again under the key of a renewal.
ALTER TABLE gateway_tasks ADD COLUMN renewals int NOT NULL DEFAULT 0,
  ADD CONSTRAINT gateway_tasks_renewals_check CHECK (renewals >= 0) NOT VALID;

CREATE OR REPLACE FUNCTION commit_payment(changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  effects  jsonb := changes -> 'effects';
  verdicts text[] := begin_effects(effects);
  write    jsonb := changes -> 'payment';
  ended    jsonb := changes -> 'ended';
  seen     jsonb := changes -> 'seen';
  stored   bigint;
  -- Nothing for a new one.
  expected bigint;
  x        payments;
BEGIN
  IF jsonb_typeof(write) = 'object' THEN
    x := jsonb_populate_record(NULL::payments, write -> 'row');
    SELECT revision INTO stored FROM payments WHERE id = x.id FOR UPDATE;
    IF NOT (write ->> 'create')::boolean THEN expected := x.revision - 1; END IF;
    IF stored IS DISTINCT FROM expected THEN RETURN 'stale'; END IF;
  END IF;
  IF jsonb_typeof(ended) = 'object' THEN
    PERFORM FROM gateway_tasks
      WHERE id = (ended ->> 'id')::uuid AND claims = (ended ->> 'claims')::int AND status = 'live' FOR UPDATE;
    IF NOT FOUND THEN RETURN 'stale'; END IF;
  END IF;
  verdicts := claim_effects(effects, verdicts);
  IF verdicts[1] <> 'ok' THEN RETURN verdicts[1]; END IF;
  IF jsonb_typeof(seen) = 'object' THEN
    INSERT INTO webhook_inbox (gateway, event) VALUES (seen ->> 'gateway', seen ->> 'event') ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:handled'; END IF;
  END IF;

  IF jsonb_typeof(write) = 'object' THEN
    IF (write ->> 'create')::boolean THEN
      INSERT INTO payments SELECT x.* ON CONFLICT (id) DO NOTHING;
      -- Two at the same time: the row that both would insert could not be locked before.
      IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
    ELSE
      UPDATE payments p
        SET state = x.state, order_ref = x.order_ref, look_at = x.look_at, updated_at = x.updated_at,
            version = x.version, revision = x.revision, document = x.document
        WHERE p.id = x.id;
    END IF;
    INSERT INTO payment_captures AS c (gateway, reference, payment_id, amount, currency, captured_at,
                                       refund, refunded_amount, refunded_at)
      SELECT x.gateway, reference, x.id, amount, currency, captured_at, refund, refunded_amount, refunded_at
      FROM jsonb_to_recordset(write -> 'captures') AS y (reference text, amount bigint, currency text, captured_at timestamptz,
        refund text, refunded_amount bigint, refunded_at timestamptz)
      ON CONFLICT (gateway, reference) DO UPDATE
        SET refund = excluded.refund, refunded_amount = excluded.refunded_amount, refunded_at = excluded.refunded_at
        WHERE c.payment_id = excluded.payment_id AND (c.refund, c.refunded_amount) IS DISTINCT FROM (excluded.refund, excluded.refunded_amount);
    -- The same money can't pay two visits.
    IF EXISTS (SELECT FROM jsonb_to_recordset(write -> 'captures') AS y (reference text)
                 JOIN payment_captures c ON c.gateway = x.gateway AND c.reference = y.reference WHERE c.payment_id <> x.id) THEN
      RAISE EXCEPTION 'captured money belongs to another payment';
    END IF;
  END IF;
  INSERT INTO payment_timeline (payment_id, version, at, kind, amount, currency, actor, cause, evidence, event_id, correlation_id)
    SELECT payment_id, version, at, kind, amount, currency, actor, cause, evidence, event_id, correlation_id
    FROM jsonb_to_recordset(changes -> 'timeline') AS y (payment_id uuid, version bigint, at timestamptz, kind text, amount bigint,
      currency text, actor text, cause text, evidence jsonb, event_id uuid, correlation_id text);
  INSERT INTO ledger_journals (id, payment_id, kind, at, evidence)
    SELECT id, payment_id, kind, at, evidence
    FROM jsonb_to_recordset(changes -> 'journals') AS y (id uuid, payment_id uuid, kind text, at timestamptz, evidence jsonb);
  INSERT INTO ledger_lines (journal_id, position, account, entry, amount, currency)
    SELECT journal_id, position, account, entry, amount, currency
    FROM jsonb_to_recordset(changes -> 'lines') AS y (journal_id uuid, position int, account text, entry text, amount bigint, currency text);

  IF jsonb_typeof(ended) = 'object' THEN
    UPDATE gateway_tasks t
      SET status = ended ->> 'status', due_at = coalesce((ended ->> 'due_at')::timestamptz, t.due_at), leased_until = NULL,
          tries = CASE ended ->> 'tries' WHEN 'anew' THEN 0 WHEN 'back' THEN greatest(t.tries - 1, 0) ELSE t.tries END,
          renewals = t.renewals + coalesce((ended ->> 'renews')::boolean, false)::int, last_error = coalesce(ended ->> 'error', t.last_error),
          ended_at = CASE WHEN ended ->> 'status' <> 'live' THEN now() END
      WHERE t.id = (ended ->> 'id')::uuid;
  END IF;
  INSERT INTO gateway_tasks AS t (id, payment_id, kind, key, tries, claims, due_at, created_at, correlation_id)
    SELECT id, payment_id, kind, key, tries, claims, due_at, created_at, correlation_id
    FROM jsonb_to_recordset(changes -> 'tasks') AS y (id uuid, payment_id uuid, kind jsonb, key text, tries int, claims int,
      due_at timestamptz, created_at timestamptz, correlation_id text)
    ORDER BY key
    ON CONFLICT (key) WHERE status = 'live' DO UPDATE SET due_at = least(t.due_at, excluded.due_at);
  PERFORM store_effects(effects, verdicts);
  RETURN 'ok';
END
$$;
