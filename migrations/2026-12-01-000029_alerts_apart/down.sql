DROP FUNCTION audit_rules_in_force();
DROP FUNCTION unusual_in_log(jsonb);
DROP FUNCTION unusual_not_told(jsonb);
DROP FUNCTION audit_has_looked(bigint);
DROP TABLE audit_looked;
