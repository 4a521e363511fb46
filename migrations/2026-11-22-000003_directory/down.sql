DROP TABLE time_off;
DROP TABLE availability_rules;
DROP TABLE availability;
DROP TABLE doctors;
