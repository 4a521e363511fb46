-- Which version of what asks has asked: without it a question that was taken back late took its successor's case along.
ALTER TABLE review_cases ADD COLUMN asked_version bigint;
