-- The log may lie in another database than the consultations and the rules: looking for what is unusual is three questions, each to
-- the database that can answer it. `unusual_access` stays for the release before.

-- Of each rule the highest version in force, when it is enabled. In the first database.
CREATE FUNCTION audit_rules_in_force() RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]')
            FROM (SELECT DISTINCT ON (code) code, version, kind, roles, actions, threshold, window_minutes, enabled
                    FROM audit_alert_rules WHERE effective_from <= now() ORDER BY code, version DESC) r
            WHERE r.enabled);
END
$$;

-- Up to which place the log has been looked at. Where the log is.
CREATE TABLE audit_looked (
  one  bool PRIMARY KEY DEFAULT true CHECK (one),
  upto bigint NOT NULL CHECK (upto >= 0)
);
-- As far back as anything could be untold yet.
INSERT INTO audit_looked (upto) SELECT coalesce(
  (SELECT min(idx) FROM audit_log WHERE occurred_at >= now() - interval '1 day'), (SELECT max(idx) + 1 FROM audit_log), 0);
GRANT SELECT, UPDATE ON audit_looked TO amrutam_app;

-- What those rules call unusual, in every window that an entry which was not looked at yet lies in, however late it was sealed, and up
-- to which place that is. Windows begin at multiples of their length. Where the log is: of visits nothing is known here, so that for
-- `without_visit` everybody is named whose record was opened.
CREATE FUNCTION unusual_in_log(rules jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  looked  bigint := (SELECT l.upto FROM audit_looked l);
  ending  bigint := (SELECT coalesce(max(idx) + 1, 0) FROM audit_log);
  rule    record;
  width   interval;
  since   timestamptz;
  unusual jsonb := '[]';
BEGIN
  FOR rule IN SELECT * FROM jsonb_to_recordset(rules) AS r (code text, version int, kind text, roles text[], actions text[],
                                                            threshold int, window_minutes int) LOOP
    width := make_interval(mins => rule.window_minutes);
    FOR since IN SELECT DISTINCT date_bin(width, l.occurred_at, timestamptz '2000-01-01')
                   FROM audit_log l WHERE l.idx >= looked AND l.idx < ending LOOP
      unusual := unusual || (
        SELECT coalesce(jsonb_agg(f.found), '[]') FROM (
          SELECT jsonb_build_object('code', rule.code, 'version', rule.version, 'kind', rule.kind, 'actor', l.actor_id,
                                    'patient', CASE WHEN rule.kind <> 'many_patients' THEN l.patient_id END,
                                    'bucket', since, 'entry', (array_agg(l.id ORDER BY l.occurred_at DESC))[1]) AS found
          FROM audit_log l
          WHERE l.occurred_at >= since AND l.occurred_at < since + width
            AND l.actor_id IS NOT NULL AND l.patient_id IS NOT NULL AND l.outcome = 'allowed'
            AND l.role = ANY (rule.roles) AND (rule.actions = '{}' OR l.action = ANY (rule.actions))
            AND CASE rule.kind WHEN 'break_glass' THEN l.break_glass WHEN 'without_visit' THEN NOT l.break_glass ELSE true END
          GROUP BY l.actor_id, CASE WHEN rule.kind <> 'many_patients' THEN l.patient_id END
          HAVING count(DISTINCT l.patient_id) >= rule.threshold
        ) f);
    END LOOP;
  END LOOP;
  RETURN jsonb_build_object('unusual', unusual, 'upto', ending);
END
$$;

-- Of what was found, what is not told yet, without those who had a visit. In the first database.
CREATE FUNCTION unusual_not_told(unusual jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(f.value - 'kind'), '[]')
    FROM jsonb_array_elements(unusual) AS f (value),
         jsonb_to_record(f.value) AS x (code text, kind text, actor uuid, patient uuid, bucket timestamptz)
    WHERE NOT EXISTS (SELECT FROM audit_alerts a WHERE a.code = x.code AND a.actor_id = x.actor
                        AND a.patient = coalesce(x.patient::text, '') AND a.bucket = x.bucket)
      AND (x.kind <> 'without_visit' OR NOT EXISTS (
        SELECT FROM consultations c JOIN doctors d ON d.id = c.doctor_id
          WHERE d.account_id = x.actor AND c.patient_id = x.patient)));
END
$$;

-- All that is unusual up to there has been told. Where the log is.
CREATE FUNCTION audit_has_looked(wanted bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE audit_looked SET upto = wanted WHERE upto < wanted;
  RETURN FOUND;
END
$$;

REVOKE ALL ON FUNCTION audit_rules_in_force(), unusual_in_log(jsonb), unusual_not_told(jsonb), audit_has_looked(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_rules_in_force(), unusual_in_log(jsonb), unusual_not_told(jsonb), audit_has_looked(bigint) TO amrutam_app;
