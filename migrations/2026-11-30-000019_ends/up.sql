-- How long before its start the patient moved a visit, at the nearest, in seconds: the refund policy goes by it.
ALTER TABLE consultations ADD COLUMN least_notice_s bigint;

-- Money at a gateway that is for no visit of ours is a payment with nobody's name on it.
ALTER TABLE payments ALTER COLUMN patient_id DROP NOT NULL, ALTER COLUMN doctor_id DROP NOT NULL;
ALTER TABLE payments ADD CONSTRAINT payments_parties CHECK ((patient_id IS NULL) = (doctor_id IS NULL)) NOT VALID;
ALTER TABLE payments VALIDATE CONSTRAINT payments_parties;

-- A message goes out by mail, or as a text to a telephone.
ALTER TABLE scheduled_messages ADD COLUMN channel text NOT NULL DEFAULT 'mail' CHECK (channel IN ('mail', 'sms'));
