DROP FUNCTION commit_booking(jsonb);
DROP FUNCTION commit_effects(jsonb);
DROP FUNCTION consultation_snapshot(uuid, uuid, uuid, text);
DROP FUNCTION booking_snapshot(uuid, uuid, uuid, text);
DROP FUNCTION consultation_by_id(uuid);
DROP FUNCTION uuid_v7_time(uuid);
