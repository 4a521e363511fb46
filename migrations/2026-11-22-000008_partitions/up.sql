-- Makes the monthly partitions from the month of `first` to the month of `last`. The app role can't run DDL, so the
-- function runs as its owner; it takes dates and nothing else from the caller. Attaching a partition of consultations
-- takes SHARE ROW EXCLUSIVE on the tables its foreign keys name, so bookings wait for as long as this runs: some 10 ms a
-- month of partitions, and nothing when none is missing.
CREATE FUNCTION ensure_partitions(first date, last date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  parent text;
  month  date;
  child  text;
  made   int := 0;
BEGIN
  IF last - first > 3660 THEN
    RAISE EXCEPTION 'more than ten years of partitions at once';
  END IF;
  -- Two callers would find the same ones missing.
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
  FOREACH parent IN ARRAY ARRAY['consultations', 'consultation_timeline', 'audit_log'] LOOP
    FOR month IN SELECT generate_series(date_trunc('month', first), date_trunc('month', last), '1 month')::date LOOP
      child := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
      CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
      EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
      EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        parent, child, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
      -- Row triggers come with the parent, this kind does not. Its function is younger than this one.
      IF parent = 'audit_log' AND to_regprocedure('public.refuse_audit_change()') IS NOT NULL THEN
        EXECUTE format('CREATE TRIGGER stays_whole BEFORE TRUNCATE ON public.%I FOR EACH STATEMENT '
          'EXECUTE FUNCTION public.refuse_audit_change()', child);
      END IF;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION ensure_partitions(date, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions(date, date) TO amrutam_app;

-- How many days of partitions lie ahead, of the parent that has the fewest: an alert under 45.
CREATE FUNCTION partition_runway_days(today date) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
  SELECT coalesce(min(days), 0)::int FROM (
    SELECT parent, (max(to_date(right(child.relname, 7), 'YYYY_MM')) + interval '1 month')::date - today AS days
    FROM unnest(ARRAY['consultations', 'consultation_timeline', 'audit_log']) AS parent
    LEFT JOIN pg_inherits ON inhparent = ('public.' || parent)::regclass
    LEFT JOIN pg_class child ON child.oid = inhrelid
    GROUP BY parent
  ) AS runway
$$;
GRANT EXECUTE ON FUNCTION partition_runway_days(date) TO amrutam_app, amrutam_reader;

SELECT ensure_partitions((now() - interval '2 months')::date, (now() + interval '3 months')::date);
