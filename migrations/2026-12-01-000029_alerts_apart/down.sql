CREATE OR REPLACE FUNCTION unusual_access() RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  rule  public.audit_alert_rules;
  width interval;
  since timestamptz;
BEGIN
  FOR rule IN SELECT DISTINCT ON (code) * FROM audit_alert_rules WHERE effective_from <= now() ORDER BY code, version DESC LOOP
    CONTINUE WHEN NOT rule.enabled;
    width := make_interval(mins => rule.window_minutes);
    FOREACH since IN ARRAY ARRAY[date_bin(width, now(), timestamptz '2000-01-01') - width,
                                 date_bin(width, now(), timestamptz '2000-01-01')] LOOP
      RETURN QUERY
        SELECT jsonb_build_object('code', rule.code, 'version', rule.version, 'actor', f.actor_id, 'patient', f.patient_id,
                                  'bucket', since, 'entry', f.entry_id)
        FROM (
          SELECT l.actor_id, CASE WHEN rule.kind = 'many_patients' THEN NULL ELSE l.patient_id END AS patient_id,
                 (array_agg(l.id ORDER BY l.occurred_at DESC))[1] AS entry_id
          FROM audit_log l
          WHERE l.occurred_at >= since AND l.occurred_at < since + width
            AND l.actor_id IS NOT NULL AND l.patient_id IS NOT NULL AND l.outcome = 'allowed'
            AND l.role = ANY (rule.roles) AND (rule.actions = '{}' OR l.action = ANY (rule.actions))
            AND CASE rule.kind
                  WHEN 'break_glass' THEN l.break_glass
                  WHEN 'without_visit' THEN NOT l.break_glass AND NOT EXISTS (
                    SELECT FROM consultations c JOIN doctors d ON d.id = c.doctor_id
                      WHERE d.account_id = l.actor_id AND c.patient_id = l.patient_id)
                  ELSE true END
          GROUP BY 1, 2
          HAVING count(DISTINCT l.patient_id) >= rule.threshold
        ) f
        WHERE NOT EXISTS (SELECT FROM audit_alerts a WHERE a.code = rule.code AND a.actor_id = f.actor_id
                            AND a.patient = coalesce(f.patient_id::text, '') AND a.bucket = since);
    END LOOP;
  END LOOP;
END
$$;

DROP FUNCTION audit_rules_in_force();
DROP FUNCTION unusual_in_log(jsonb);
DROP FUNCTION unusual_not_told(jsonb);
