DROP FUNCTION commit_bookings(jsonb);
DROP FUNCTION commit_effects(jsonb);
DROP FUNCTION store_effects(jsonb, text[]);
DROP FUNCTION claim_effects(jsonb, text[]);
DROP FUNCTION begin_effects(jsonb);
DROP FUNCTION consultation_snapshot(uuid, uuid, uuid, text);
DROP FUNCTION booking_snapshots(uuid[], uuid[], uuid[], uuid[], text[]);
DROP FUNCTION consultation_by_id(uuid);
DROP FUNCTION uuid_v7_time(uuid);
