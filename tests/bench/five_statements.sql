-- A booking as five plain statements in a transaction: slot (locked, then updated), consultation, outbox, audit.
-- Each client has slots of its own, so nobody waits for anybody; after its last one a client begins anew.
-- The tables are copies with the constraints of ours, foreign keys included. The ids come with the first answer, as uuidv7.
-- Dots where our documents have colons: pgbench would take what follows for a variable.
\set i (:i + 1) % :slots_per_client
\set slot :client_id * :slots_per_client + :i
\set patient :slot % :patients
BEGIN;
SELECT id AS slot_id, doctor_id, starts_at, ends_at, version, amrutam_bench.uuid_v7() AS consultation,
       amrutam_bench.uuid_v7() AS event, amrutam_bench.uuid_v7() AS entry,
       amrutam_bench.number_id(:patient::bigint) AS patient_id
  FROM amrutam_bench.slots WHERE id = amrutam_bench.number_id(:slot::bigint) FOR UPDATE \gset
UPDATE amrutam_bench.slots SET status = 'booked', consultation_id = :consultation::uuid, version = :version::bigint + 1
  WHERE id = :slot_id::uuid;
INSERT INTO amrutam_bench.consultations (id, created_at, patient_id, doctor_id, slot_id, starts_at, ends_at, mode, status,
    fee_amount, fee_currency, updated_at, version)
  VALUES (:consultation::uuid, now(), :patient_id::uuid, :doctor_id::uuid, :slot_id::uuid, :starts_at::timestamptz,
    :ends_at::timestamptz, 'video', 'confirmed', 70000, 'INR', now(), 2);
INSERT INTO amrutam_bench.outbox (event_id, aggregate_id, envelope)
  VALUES (:event::uuid, :consultation::uuid, '{"id": "019aaf00-0000-7000-8000-000000000001", "event_type": "consultation.confirmed.v1", "aggregate": {"kind": "consultation", "id": "019aaf00-0000-7000-8000-000000000002", "version": 2}, "occurred_at": "2026-11-22T16.00.00.000000Z", "actor": "system.booking", "correlation_id": "019aaf00-0000-7000-8000-000000000003", "payload": {"consultation_id": "019aaf00-0000-7000-8000-000000000002", "patient_id": "019aaf00-0000-7000-8000-000000000004", "doctor_id": "019aaf00-0000-7000-8000-000000000005", "slot_id": "019aaf00-0000-7000-8000-000000000006", "starts_at": "2027-12-27T16.00.00Z", "ends_at": "2027-12-27T16.15.00Z", "mode": "video", "status": "confirmed", "cause": "payment_not_required"}}'::jsonb);
INSERT INTO amrutam_bench.audit_intake (entry)
  VALUES (jsonb_build_object('id', :entry::uuid, 'occurred_at', now(), 'actor', 'patient:' || :patient_id::text, 'actor_id', :patient_id::uuid,
    'role', 'patient', 'purpose', 'own', 'action', 'consultation.book', 'resource_kind', 'consultation', 'resource_id', :consultation::text,
    'patient_id', :patient_id::uuid, 'outcome', 'allowed', 'correlation_id', '019aaf00-0000-7000-8000-000000000003',
    'origin', '203.0.113.0/24', 'ruleset', NULL, 'break_glass', false));
END;
