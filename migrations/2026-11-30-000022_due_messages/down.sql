ALTER FUNCTION settle_messages(jsonb) RESET ALL;
ALTER FUNCTION claim_due_messages(bigint, int) RESET ALL;
