DROP FUNCTION claim_due_messages(bigint, int);
DROP FUNCTION settle_messages(jsonb);
DROP FUNCTION plan_messages(jsonb, jsonb);
DROP FUNCTION commit_availability(jsonb);
DROP FUNCTION update_doctor(jsonb, jsonb);
DROP FUNCTION put_doctor(jsonb);
DROP FUNCTION insert_doctor(jsonb, jsonb);
DROP FUNCTION must_commit_effects(jsonb);
