-- What visits cost. Kept for good: payments, their timelines and the ledger are books of account (Companies Act 2013,
-- section 128 (5): eight financial years). Tasks and notifications that are over are forgotten after 90 days.

-- One per paid visit, with the visit's id. `document` is the aggregate as the domain writes it; the columns beside it are
-- what rows are found and counted by.
CREATE TABLE payments (
  id         uuid PRIMARY KEY,
  patient_id uuid NOT NULL,
  doctor_id  uuid NOT NULL,
  amount     bigint NOT NULL CHECK (amount >= 0),
  currency   text NOT NULL,
  gateway    text NOT NULL,
  state      text NOT NULL CHECK (state IN ('created', 'pending', 'failed', 'cancelled', 'captured', 'settled', 'refunding',
                                            'refunded', 'partially_refunded', 'refund_failed')),
  order_ref  text,
  look_at    timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  version    bigint NOT NULL CHECK (version > 0),
  revision   bigint NOT NULL CHECK (revision > 0),
  document   jsonb NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX payments_by_order ON payments (gateway, order_ref) WHERE order_ref IS NOT NULL;
-- What the clock alone makes due.
CREATE INDEX payments_to_look_at ON payments (look_at, id) WHERE look_at IS NOT NULL;
-- For the gauge of open ones; the states in which payments end are left out.
CREATE INDEX payments_open ON payments (state)
  WHERE state IN ('created', 'pending', 'captured', 'refunding', 'refund_failed');

-- Money that arrived: by what the gateway calls it, so that it belongs to one payment, and by time for reconciliation.
CREATE TABLE payment_captures (
  gateway         text NOT NULL,
  reference       text NOT NULL,
  payment_id      uuid NOT NULL REFERENCES payments (id),
  amount          bigint NOT NULL CHECK (amount > 0),
  currency        text NOT NULL,
  captured_at     timestamptz NOT NULL,
  -- Once the gateway has given it back.
  refund          text,
  refunded_amount bigint CHECK (refunded_amount > 0 AND refunded_amount <= amount),
  refunded_at     timestamptz,
  PRIMARY KEY (gateway, reference),
  CHECK ((refund IS NULL) = (refunded_amount IS NULL) AND (refund IS NULL) = (refunded_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX payment_captures_by_payment ON payment_captures (payment_id);
CREATE INDEX payment_captures_by_time ON payment_captures (gateway, captured_at, reference);
CREATE INDEX payment_captures_by_refund ON payment_captures (gateway, refunded_at, refund) WHERE refund IS NOT NULL;

-- One row per version of a payment.
CREATE TABLE payment_timeline (
  payment_id     uuid NOT NULL REFERENCES payments (id),
  version        bigint NOT NULL CHECK (version > 0),
  at             timestamptz NOT NULL,
  kind           text NOT NULL,
  amount         bigint,
  currency       text,
  actor          text NOT NULL,
  cause          text NOT NULL,
  -- What proves it.
  evidence       jsonb NOT NULL,
  event_id       uuid NOT NULL,
  correlation_id text NOT NULL,
  PRIMARY KEY (payment_id, version),
  CHECK ((amount IS NULL) = (currency IS NULL))
);

-- The ledger: double entry, in minor units, never changed.
CREATE TABLE ledger_journals (
  id         uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payments (id),
  kind       text NOT NULL,
  at         timestamptz NOT NULL,
  evidence   jsonb NOT NULL
);
CREATE INDEX ledger_journals_by_payment ON ledger_journals (payment_id);
CREATE TABLE ledger_lines (
  journal_id uuid NOT NULL REFERENCES ledger_journals (id),
  position   int NOT NULL CHECK (position > 0),
  account    text NOT NULL,
  entry      text NOT NULL CHECK (entry IN ('debit', 'credit')),
  amount     bigint NOT NULL CHECK (amount > 0),
  currency   text NOT NULL,
  PRIMARY KEY (journal_id, position)
);
-- An account's balance is read from the index alone.
CREATE INDEX ledger_lines_by_account ON ledger_lines (account, currency) INCLUDE (entry, amount);

CREATE FUNCTION must_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  journal uuid := CASE TG_TABLE_NAME WHEN 'ledger_journals' THEN (to_jsonb(NEW) ->> 'id')::uuid ELSE (to_jsonb(NEW) ->> 'journal_id')::uuid END;
BEGIN
  IF NOT EXISTS (SELECT FROM ledger_lines WHERE journal_id = journal)
     OR EXISTS (SELECT FROM ledger_lines WHERE journal_id = journal GROUP BY currency
                  HAVING sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END) <> 0) THEN
    RAISE EXCEPTION 'journal % does not balance', journal USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END
$$;
-- At COMMIT, when a journal's lines are all there.
CREATE CONSTRAINT TRIGGER ledger_journals_balance AFTER INSERT OR UPDATE ON ledger_journals
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION must_balance();
CREATE CONSTRAINT TRIGGER ledger_lines_balance AFTER INSERT OR UPDATE ON ledger_lines
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION must_balance();

-- What is to be done at a gateway.
CREATE TABLE gateway_tasks (
  id             uuid PRIMARY KEY,
  payment_id     uuid NOT NULL,
  kind           jsonb NOT NULL,
  -- What the gateway knows it by.
  key            text NOT NULL,
  tries          int NOT NULL CHECK (tries >= 0),
  -- The fencing token of whoever has it.
  claims         int NOT NULL CHECK (claims >= 0),
  due_at         timestamptz NOT NULL,
  leased_until   timestamptz,
  status         text NOT NULL DEFAULT 'live' CHECK (status IN ('live', 'done', 'dead')),
  last_error     text,
  created_at     timestamptz NOT NULL,
  ended_at       timestamptz,
  correlation_id text NOT NULL,
  CHECK ((status = 'live') = (ended_at IS NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX gateway_tasks_live ON gateway_tasks (key) WHERE status = 'live';
CREATE INDEX gateway_tasks_due ON gateway_tasks (greatest(due_at, leased_until)) WHERE status = 'live';
CREATE INDEX gateway_tasks_by_payment ON gateway_tasks (payment_id);
-- For forgetting; the dead stay.
CREATE INDEX gateway_tasks_done ON gateway_tasks (ended_at) WHERE status = 'done';

-- Notifications that are on the record: each counts once. Gateways repeat them for some days at most.
CREATE TABLE webhook_inbox (
  gateway     text NOT NULL,
  event       text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway, event)
);
CREATE INDEX webhook_inbox_by_age ON webhook_inbox USING brin (received_at);

-- Spans of time whose captures and refunds were compared with the gateway's list.
CREATE TABLE reconciliations (
  gateway     text NOT NULL,
  starts_at   timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL,
  compared    bigint NOT NULL,
  differences bigint NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway, starts_at),
  CHECK (ends_at > starts_at)
);

-- What a change is decided on: found by id, by order, by a captured payment, or by one of its tasks.
CREATE FUNCTION payment_snapshot(wanted uuid, at_gateway text, by_order text, by_capture text, by_task uuid,
  caller uuid, claim_key text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  found uuid := CASE
    WHEN wanted IS NOT NULL THEN wanted
    WHEN by_task IS NOT NULL THEN (SELECT payment_id FROM gateway_tasks WHERE id = by_task)
    WHEN by_order IS NOT NULL THEN (SELECT id FROM payments WHERE gateway = at_gateway AND order_ref = by_order)
    ELSE (SELECT payment_id FROM payment_captures WHERE gateway = at_gateway AND reference = by_capture) END;
BEGIN
  RETURN jsonb_build_object(
    'recorded', (SELECT jsonb_build_object('fingerprint', encode(k.fingerprint, 'hex'), 'answer', k.answer)
                   FROM idempotency_keys k
                   WHERE k.caller_id = caller AND k.key = claim_key AND k.created_at > now() - interval '24 hours'),
    'payment', (SELECT document FROM payments WHERE id = found),
    'tasks', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.key), '[]') FROM gateway_tasks t
                WHERE t.payment_id = found AND t.status = 'live'));
END
$$;

-- One use case, whole or not at all: 'ok', or why nothing was written. Locks in one order: the payment, its task,
-- idempotency keys and inbox marks, the notification.
CREATE FUNCTION commit_payment(changes jsonb) RETURNS text
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
          last_error = coalesce(ended ->> 'error', t.last_error),
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

-- Leases due tasks to one worker: until the lease ends, by this server's clock, nobody else gets them.
CREATE FUNCTION claim_gateway_tasks(lease_us bigint, most int) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  tasks jsonb;
BEGIN
  WITH claimed AS (
    UPDATE gateway_tasks t
      SET tries = t.tries + 1, claims = t.claims + 1, leased_until = now() + lease_us * interval '1 microsecond'
      WHERE t.id = ANY (ARRAY(SELECT id FROM gateway_tasks
        WHERE status = 'live' AND greatest(due_at, leased_until) <= now()
        ORDER BY greatest(due_at, leased_until) LIMIT most FOR UPDATE SKIP LOCKED))
      RETURNING t.*
  )
  SELECT coalesce(jsonb_agg(to_jsonb(claimed) ORDER BY due_at, id), '[]') INTO tasks FROM claimed;
  RETURN tasks;
END
$$;

-- Named column by column: what is paid, by whom, never changes.
GRANT SELECT, INSERT ON payments, payment_captures TO amrutam_app;
GRANT UPDATE (state, order_ref, look_at, updated_at, version, revision, document) ON payments TO amrutam_app;
GRANT UPDATE (refund, refunded_amount, refunded_at) ON payment_captures TO amrutam_app;
GRANT SELECT, INSERT ON payment_timeline, ledger_journals, ledger_lines, reconciliations TO amrutam_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway_tasks TO amrutam_app;
GRANT SELECT, INSERT, DELETE ON webhook_inbox TO amrutam_app;
GRANT SELECT ON payment_captures, payment_timeline, ledger_journals, ledger_lines, gateway_tasks, reconciliations TO amrutam_reader;
GRANT SELECT (id, patient_id, doctor_id, amount, currency, gateway, state, look_at, created_at, updated_at, version)
  ON payments TO amrutam_reader;
GRANT EXECUTE ON FUNCTION payment_snapshot(uuid, text, text, text, uuid, uuid, text), commit_payment(jsonb),
  claim_gateway_tasks(bigint, int), must_balance() TO amrutam_app;
