-- Written with the change it announces, deleted once the broker has confirmed it. Never read by "id > last": rows commit
-- out of order.
CREATE TABLE outbox (
  seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id     uuid NOT NULL,
  aggregate_id uuid NOT NULL,
  envelope     jsonb NOT NULL,
  -- A dead letter that begins afresh: to which consumer alone, and in which of its lives. Everybody's when null.
  requeue      jsonb,
  created_at   timestamptz NOT NULL DEFAULT now(),
  -- One that can't be published is set aside for a while, and its aggregate with it, so that it holds up no other.
  attempts       int NOT NULL DEFAULT 0,
  parked_until   timestamptz,
  parked_because text
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE INDEX outbox_parked ON outbox (parked_until) WHERE parked_until IS NOT NULL;

-- Written with the effect of an event: a redelivery does nothing.
CREATE TABLE inbox (
  consumer   text NOT NULL,
  event_id   uuid NOT NULL,
  handled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_by_age ON inbox USING brin (handled_at);

-- Redelivered messages only: counted before they are handled again, so that one which kills the process is found.
CREATE TABLE inbox_attempts (
  consumer   text NOT NULL,
  event_id   uuid NOT NULL,
  attempts   int NOT NULL CHECK (attempts > 0),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);

CREATE TABLE scheduled_messages (
  id              uuid PRIMARY KEY,
  -- Planning twice adds nothing.
  dedupe_key      text NOT NULL UNIQUE,
  kind            text NOT NULL,
  recipient_id    uuid NOT NULL,
  consultation_id uuid,
  slot_starts_at  timestamptz,
  -- The link is made from this when the message is sent: no token is stored.
  link_id         uuid,
  due_at          timestamptz NOT NULL,
  -- When it is tried next; while a worker has it: when its lease ends.
  next_attempt_at timestamptz NOT NULL,
  attempts        int NOT NULL DEFAULT 0,
  -- The mail server's answer to an earlier attempt was lost.
  maybe_sent      boolean NOT NULL DEFAULT false,
  status          text NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'sent', 'skipped', 'gave_up')),
  settled_at      timestamptz,
  detail          text,
  correlation_id  text NOT NULL,
  trace_parent    text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  CHECK ((status = 'scheduled') = (settled_at IS NULL))
);
CREATE INDEX scheduled_messages_due ON scheduled_messages (next_attempt_at) WHERE status = 'scheduled';
-- For forgetting. What was given up stays as long as its dead letter does.
CREATE INDEX scheduled_messages_done ON scheduled_messages (settled_at) WHERE status IN ('sent', 'skipped');
CREATE INDEX scheduled_messages_given_up ON scheduled_messages (settled_at) WHERE status = 'gave_up';

GRANT SELECT, INSERT, DELETE ON outbox, inbox TO amrutam_app;
GRANT UPDATE (attempts, parked_until, parked_because) ON outbox TO amrutam_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON inbox_attempts, scheduled_messages TO amrutam_app;
GRANT SELECT ON outbox, inbox, scheduled_messages TO amrutam_reader;
