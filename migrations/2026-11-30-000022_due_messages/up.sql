-- Its plan is made when a worker connects, perhaps to a table of a few rows that is best joined as a whole, and kept while it
-- grows to tens of thousands before its statistics are taken. So each message is found by its index from the first.
ALTER FUNCTION settle_messages(jsonb) SET enable_hashjoin = off;
ALTER FUNCTION settle_messages(jsonb) SET enable_mergejoin = off;
