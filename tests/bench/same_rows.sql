-- The rows that one of our bookings writes, as plain statements in a transaction: slot (locked, then updated), consultation,
-- two timeline entries, two outbox rows, audit, the patient's calendar, the idempotency key with its answer.
-- Each client has slots and patients of its own, so nobody waits for anybody; after its last one a client begins anew.
-- The tables are copies with the constraints of ours, foreign keys included. The ids come with the first answer, as uuidv7.
-- Dots where our documents have colons: pgbench would take what follows for a variable.
\set i (:i + 1) % :slots_per_client
\set slot :client_id * :slots_per_client + :i
\set patient :client_id * :slots_per_client + :i % (:slots_per_client / 16)
BEGIN;
SELECT id AS slot_id, doctor_id, starts_at, ends_at, version, amrutam_bench.uuid_v7() AS consultation,
       amrutam_bench.uuid_v7() AS event, amrutam_bench.uuid_v7() AS event_2, amrutam_bench.uuid_v7() AS entry,
       amrutam_bench.number_id(:patient::bigint) AS patient_id
  FROM amrutam_bench.slots WHERE id = amrutam_bench.number_id(:slot::bigint) FOR UPDATE \gset
UPDATE amrutam_bench.slots SET status = 'booked', consultation_id = :consultation::uuid, version = :version::bigint + 1
  WHERE id = :slot_id::uuid;
INSERT INTO amrutam_bench.consultations (id, created_at, patient_id, doctor_id, slot_id, starts_at, ends_at, mode, status,
    fee_amount, fee_currency, updated_at, version)
  VALUES (:consultation::uuid, now(), :patient_id::uuid, :doctor_id::uuid, :slot_id::uuid, :starts_at::timestamptz,
    :ends_at::timestamptz, 'video', 'confirmed', 70000, 'INR', now(), 2);
INSERT INTO amrutam_bench.consultation_timeline (consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
    slot_id, actor, cause, event_id, correlation_id)
  VALUES (:consultation::uuid, now(), 1, now(), 'status_changed', NULL, 'pending', :slot_id::uuid, 'patient.019aaf00-0000-7000-8000-000000000004', 'booked', :event::uuid,
    '019aaf00-0000-7000-8000-000000000003');
INSERT INTO amrutam_bench.consultation_timeline (consultation_id, consultation_created_at, version, at, kind, from_status, to_status,
    slot_id, actor, cause, event_id, correlation_id)
  VALUES (:consultation::uuid, now(), 2, now(), 'status_changed', 'pending', 'confirmed', :slot_id::uuid, 'system.booking', 'payment_not_required', :event_2::uuid,
    '019aaf00-0000-7000-8000-000000000003');
INSERT INTO amrutam_bench.outbox (event_id, aggregate_id, envelope)
  VALUES (:event::uuid, :consultation::uuid, '{"id": "019aaf00-0000-7000-8000-000000000001", "event_type": "consultation.requested.v1", "aggregate": {"kind": "consultation", "id": "019aaf00-0000-7000-8000-000000000002", "version": 1}, "occurred_at": "2026-11-22T16.00.00.000000Z", "actor": "patient.019aaf00-0000-7000-8000-000000000004", "correlation_id": "019aaf00-0000-7000-8000-000000000003", "payload": {"consultation_id": "019aaf00-0000-7000-8000-000000000002", "patient_id": "019aaf00-0000-7000-8000-000000000004", "doctor_id": "019aaf00-0000-7000-8000-000000000005", "slot_id": "019aaf00-0000-7000-8000-000000000006", "starts_at": "2027-12-27T16.00.00Z", "ends_at": "2027-12-27T16.15.00Z", "mode": "video", "status": "pending", "cause": "booked"}}'::jsonb);
INSERT INTO amrutam_bench.outbox (event_id, aggregate_id, envelope)
  VALUES (:event_2::uuid, :consultation::uuid, '{"id": "019aaf00-0000-7000-8000-000000000001", "event_type": "consultation.confirmed.v1", "aggregate": {"kind": "consultation", "id": "019aaf00-0000-7000-8000-000000000002", "version": 2}, "occurred_at": "2026-11-22T16.00.00.000000Z", "actor": "system.booking", "correlation_id": "019aaf00-0000-7000-8000-000000000003", "payload": {"consultation_id": "019aaf00-0000-7000-8000-000000000002", "patient_id": "019aaf00-0000-7000-8000-000000000004", "doctor_id": "019aaf00-0000-7000-8000-000000000005", "slot_id": "019aaf00-0000-7000-8000-000000000006", "starts_at": "2027-12-27T16.00.00Z", "ends_at": "2027-12-27T16.15.00Z", "mode": "video", "status": "confirmed", "cause": "payment_not_required"}}'::jsonb);
INSERT INTO amrutam_bench.audit_intake (entry)
  VALUES (jsonb_build_object('id', :entry::uuid, 'occurred_at', now(), 'actor', 'patient:' || :patient_id::text, 'actor_id', :patient_id::uuid,
    'role', 'patient', 'purpose', 'own', 'action', 'consultation.book', 'resource_kind', 'consultation', 'resource_id', :consultation::text,
    'patient_id', :patient_id::uuid, 'outcome', 'allowed', 'correlation_id', '019aaf00-0000-7000-8000-000000000003',
    'origin', '203.0.113.0/24', 'ruleset', NULL, 'break_glass', false));
INSERT INTO amrutam_bench.patient_calendars AS p (patient_id, version, live)
  VALUES (:patient_id::uuid, 1, '[{"consultation": "019aaf00-0000-7000-8000-000000000000", "starts_at": "2027-12-01T16.00.00Z", "ends_at": "2027-12-01T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000001", "starts_at": "2027-12-02T16.00.00Z", "ends_at": "2027-12-02T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000002", "starts_at": "2027-12-03T16.00.00Z", "ends_at": "2027-12-03T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000003", "starts_at": "2027-12-04T16.00.00Z", "ends_at": "2027-12-04T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000004", "starts_at": "2027-12-05T16.00.00Z", "ends_at": "2027-12-05T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000005", "starts_at": "2027-12-06T16.00.00Z", "ends_at": "2027-12-06T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000006", "starts_at": "2027-12-07T16.00.00Z", "ends_at": "2027-12-07T16.15.00Z", "held_until": null}, {"consultation": "019aaf00-0000-7000-8000-000000000007", "starts_at": "2027-12-08T16.00.00Z", "ends_at": "2027-12-08T16.15.00Z", "held_until": null}]'::jsonb)
  ON CONFLICT (patient_id) DO UPDATE SET version = p.version + 1, live = excluded.live;
INSERT INTO amrutam_bench.idempotency_keys (caller_id, key, fingerprint, answer, created_at)
  VALUES (:patient_id::uuid, 'bench-' || :consultation::text, sha256(:slot_id::text::bytea), '{"status": 201, "location": "/v1/consultations/019aaf00-0000-7000-8000-000000000002", "content_type": "application/json", "etag": "\"2\"", "body": "{\"id\":\"019aaf00-0000-7000-8000-000000000002\",\"status\":\"confirmed\",\"doctor_id\":\"019aaf00-0000-7000-8000-000000000005\",\"patient_id\":\"019aaf00-0000-7000-8000-000000000004\",\"slot\":{\"id\":\"019aaf00-0000-7000-8000-000000000006\",\"starts_at\":\"2027-12-27T16.00.00.000000Z\",\"ends_at\":\"2027-12-27T16.15.00.000000Z\"},\"mode\":\"video\",\"fee\":{\"amount\": 70000,\"currency\":\"INR\"},\"created_at\":\"2026-11-22T16.00.00.000000Z\",\"updated_at\":\"2026-11-22T16.00.00.000000Z\"}"}'::jsonb, now());
END;
