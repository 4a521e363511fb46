-- The partitions go with their parents.
DROP FUNCTION partition_runway_days(date);
DROP FUNCTION ensure_partitions(date, date);
