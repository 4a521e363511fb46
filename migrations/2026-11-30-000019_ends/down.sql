-- Texts that wait would go out as mails.
DELETE FROM scheduled_messages WHERE channel <> 'mail';
ALTER TABLE scheduled_messages DROP COLUMN channel;
-- Money that nobody claims has no place in the schema before: its rows must have been dealt with.
ALTER TABLE payments DROP CONSTRAINT payments_parties;
ALTER TABLE payments ALTER COLUMN patient_id SET NOT NULL, ALTER COLUMN doctor_id SET NOT NULL;
ALTER TABLE consultations DROP COLUMN least_notice_s;
