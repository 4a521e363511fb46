ALTER FUNCTION settle_messages(jsonb) RESET ALL;
