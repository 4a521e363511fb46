DROP TABLE idempotency_keys;
DROP TABLE phi.visit_reasons;
DROP TABLE patient_calendars;
DROP TABLE consultation_timeline;
DROP TABLE consultations;
