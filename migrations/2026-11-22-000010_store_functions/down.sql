DROP FUNCTION claim_due_messages(timestamptz, timestamptz, int);
DROP FUNCTION plan_messages(jsonb, jsonb);
DROP FUNCTION commit_availability(jsonb);
DROP FUNCTION save_doctor(jsonb, jsonb);
DROP FUNCTION insert_account(jsonb, jsonb);
