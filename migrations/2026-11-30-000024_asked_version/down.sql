ALTER TABLE review_cases DROP COLUMN asked_version;
