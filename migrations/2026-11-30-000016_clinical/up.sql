-- The clinical record. What is about a person's health is sealed by the application for its row and version; beside it stand ids,
-- codes and times only. `patient_id` is the account that books and reads, `dependant_id` the person treated when it is another.

CREATE TABLE phi.note_versions (
  consultation_id uuid NOT NULL,
  version         bigint NOT NULL CHECK (version > 0),
  patient_id      uuid NOT NULL,
  dependant_id    uuid,
  written_at      timestamptz NOT NULL,
  sealed          bytea NOT NULL,
  PRIMARY KEY (consultation_id, version)
);

-- Only ever added to: a withdrawal is a row of its own.
CREATE TABLE phi.consents (
  seq             bigint GENERATED ALWAYS AS IDENTITY,
  id              uuid PRIMARY KEY,
  consultation_id uuid NOT NULL,
  patient_id      uuid NOT NULL,
  dependant_id    uuid,
  purpose         text NOT NULL,
  decision        text NOT NULL CHECK (decision IN ('given', 'withdrawn')),
  notice_version  text NOT NULL,
  method          text NOT NULL,
  evidence        bytea,
  recorded_by     uuid NOT NULL,
  at              timestamptz NOT NULL
);
CREATE INDEX consents_by_consultation ON phi.consents (consultation_id, seq);

-- The adult beside a minor; every version is kept.
CREATE TABLE phi.guardians (
  consultation_id uuid NOT NULL,
  version         bigint NOT NULL CHECK (version > 0),
  patient_id      uuid NOT NULL,
  dependant_id    uuid,
  sealed          bytea NOT NULL,
  PRIMARY KEY (consultation_id, version)
);

-- Who was seen in the lobby or the call: the evidence of a no-show.
CREATE TABLE visit_presence (
  consultation_id uuid NOT NULL,
  side            text NOT NULL CHECK (side IN ('patient', 'doctor')),
  at              timestamptz NOT NULL,
  PRIMARY KEY (consultation_id, at, side)
);

CREATE TABLE phi.prescriptions (
  id                uuid PRIMARY KEY,
  consultation_id   uuid NOT NULL,
  patient_id        uuid NOT NULL,
  dependant_id      uuid,
  doctor_id         uuid NOT NULL,
  number            int NOT NULL CHECK (number > 0),
  status            text NOT NULL CHECK (status IN ('draft', 'signed', 'superseded', 'revoked')),
  version           bigint NOT NULL CHECK (version > 0),
  content           bytea NOT NULL,
  signed            bytea,
  -- SHA-256 of the code that the QR code carries; the code itself is sealed.
  code_digest       bytea UNIQUE CHECK (length(code_digest) = 32),
  -- Sealed as the content is: it judges the patient's health.
  revoke_reason     bytea,
  revoked_at        timestamptz,
  document_state    text NOT NULL CHECK (document_state IN ('awaited', 'issued', 'in_review')),
  document_failures int NOT NULL DEFAULT 0,
  document_sha256   bytea CHECK (length(document_sha256) = 32),
  document_at       timestamptz,
  updated_at        timestamptz NOT NULL,
  UNIQUE (consultation_id, number),
  CHECK ((status = 'draft') = (signed IS NULL)),
  CHECK ((status = 'draft') = (code_digest IS NULL)),
  CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
  CHECK ((document_state = 'issued') = (document_sha256 IS NOT NULL))
);
CREATE UNIQUE INDEX prescriptions_one_draft ON phi.prescriptions (consultation_id) WHERE status = 'draft';
CREATE UNIQUE INDEX prescriptions_one_in_force ON phi.prescriptions (consultation_id) WHERE status = 'signed';

-- The exact bytes that were issued, sealed; written once.
CREATE TABLE phi.documents (
  prescription_id uuid PRIMARY KEY REFERENCES phi.prescriptions (id),
  patient_id      uuid NOT NULL,
  dependant_id    uuid,
  sealed          bytea NOT NULL
);

-- Versions of the formulary; a version never changes.
CREATE TABLE formularies (
  version        text PRIMARY KEY,
  effective_from date NOT NULL,
  approved_by    text NOT NULL,
  items          jsonb NOT NULL,
  imported_at    timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT ON phi.note_versions, phi.consents, phi.guardians, phi.documents, visit_presence, formularies TO amrutam_app;
GRANT SELECT, INSERT,
  UPDATE (status, version, content, signed, code_digest, revoke_reason, revoked_at, document_state, document_failures, document_sha256,
          document_at, updated_at)
  ON phi.prescriptions TO amrutam_app;
GRANT SELECT ON visit_presence, formularies TO amrutam_reader;

-- A visit with its practitioner, and with who is treated when it is not the one who booked; none when its patient is erased: nobody opens
-- what is kept of them (record_locked, in the migration of privacy).
CREATE FUNCTION clinical_visit(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('consultation', to_jsonb(c), 'doctor', to_jsonb(d),
                   'dependant', (SELECT to_jsonb(k) FROM phi.dependants k WHERE k.id = c.dependant_id))
            FROM consultation_by_id(wanted) c JOIN doctors d ON d.id = c.doctor_id
            WHERE NOT record_locked(c.patient_id));
END
$$;

-- The practitioner with that account.
CREATE FUNCTION clinical_practitioner(account uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(d) FROM doctors d WHERE d.account_id = account);
END
$$;

-- The last version of a visit's notes.
CREATE FUNCTION clinical_note(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(n) FROM phi.note_versions n WHERE n.consultation_id = wanted ORDER BY n.version DESC LIMIT 1);
END
$$;

-- By number.
CREATE FUNCTION clinical_prescriptions(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.number), '[]') FROM phi.prescriptions p WHERE p.consultation_id = wanted);
END
$$;

-- By id, or by the digest of its code.
CREATE FUNCTION clinical_prescription(wanted uuid, wanted_digest bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(p) FROM phi.prescriptions p
            WHERE p.id = wanted OR (p.code_digest = wanted_digest AND NOT record_locked(p.patient_id)));
END
$$;

-- Everything else that is known of a visit.
CREATE FUNCTION clinical_consents(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.seq), '[]') FROM phi.consents c WHERE c.consultation_id = wanted);
END
$$;

CREATE FUNCTION clinical_guardian(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(g) FROM phi.guardians g WHERE g.consultation_id = wanted ORDER BY g.version DESC LIMIT 1);
END
$$;

CREATE FUNCTION clinical_presence(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.at), '[]') FROM visit_presence p WHERE p.consultation_id = wanted);
END
$$;

CREATE FUNCTION clinical_document(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(d) FROM phi.documents d WHERE d.prescription_id = wanted);
END
$$;

-- A person's completed visits with a practitioner, with what tells what they were for.
CREATE FUNCTION clinical_earlier(patient uuid, dependant uuid, doctor uuid, since timestamptz, before timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('starts_at', c.starts_at, 'note', clinical_note(c.id),
                   'prescriptions', (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM phi.prescriptions p
                                       WHERE p.consultation_id = c.id AND p.status = 'signed')) ORDER BY c.starts_at), '[]')
            FROM consultations c
            WHERE c.patient_id = patient AND c.dependant_id IS NOT DISTINCT FROM dependant AND c.doctor_id = doctor
              AND c.status = 'completed'
              AND c.starts_at >= since AND c.starts_at < before);
END
$$;

CREATE FUNCTION clinical_last_treated(patient uuid, dependant uuid, doctor_account uuid, soon timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT max(c.ends_at) FROM consultations c JOIN doctors d ON d.id = c.doctor_id
            WHERE c.patient_id = patient AND c.dependant_id IS NOT DISTINCT FROM dependant AND d.account_id = doctor_account
              AND NOT record_locked(patient)
              AND (c.status IN ('in_progress', 'completed') OR (c.status = 'confirmed' AND c.starts_at < soon)));
END
$$;

-- A person's visits that took place or are under way, the latest first, after the one with that start and id.
CREATE FUNCTION clinical_records(patient uuid, dependant uuid, after_start timestamptz, after_id uuid, most int) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('consultation', r.id, 'starts_at', r.starts_at, 'doctor', r.doctor_id,
                   'doctor_name', d.full_name, 'council', d.council, 'registration', d.registration_number, 'note', clinical_note(r.id),
                   'summary', (SELECT to_jsonb(s) FROM phi.visit_summaries s WHERE s.consultation_id = r.id),
                   'prescriptions', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.number), '[]') FROM phi.prescriptions p
                                       WHERE p.consultation_id = r.id AND p.status <> 'draft'))
                 ORDER BY r.starts_at DESC, r.id DESC), '[]')
            FROM (SELECT c.id, c.starts_at, c.doctor_id FROM consultations c
                    WHERE c.patient_id = patient AND c.dependant_id IS NOT DISTINCT FROM dependant
                      AND c.status IN ('in_progress', 'completed') AND NOT record_locked(patient)
                      AND (after_start IS NULL OR (c.starts_at, c.id) < (after_start, after_id))
                    ORDER BY c.starts_at DESC, c.id DESC LIMIT most) r
            JOIN doctors d ON d.id = r.doctor_id);
END
$$;

-- One clinical use case, whole or not at all. The visit is looked at under a shared lock, so that its end waits for what was
-- decided on its being open.
CREATE FUNCTION commit_clinical(changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  visit    jsonb := changes -> 'based_on';
  born     timestamptz;
  one      jsonb;
  affected int;
BEGIN
  IF jsonb_typeof(visit) = 'object' THEN
    born := uuid_v7_time((visit ->> 'id')::uuid);
    PERFORM FROM consultations c
      WHERE c.id = (visit ->> 'id')::uuid AND c.created_at >= born AND c.created_at < born + interval '1 millisecond'
        AND c.version = (visit ->> 'version')::bigint
      FOR SHARE;
    IF NOT FOUND THEN RETURN 'stale'; END IF;
  END IF;

  IF jsonb_array_length(changes -> 'notes') > 0 THEN
    INSERT INTO phi.note_versions (consultation_id, version, patient_id, dependant_id, written_at, sealed)
      SELECT consultation_id, version, patient_id, dependant_id, written_at, decode(sealed, 'hex')
      FROM jsonb_to_recordset(changes -> 'notes') AS x (consultation_id uuid, version bigint, patient_id uuid, dependant_id uuid,
        written_at timestamptz, sealed text)
      WHERE version - 1 = (SELECT coalesce(max(n.version), 0) FROM phi.note_versions n WHERE n.consultation_id = x.consultation_id)
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS affected = ROW_COUNT;
    IF affected < jsonb_array_length(changes -> 'notes') THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END IF;

  INSERT INTO phi.consents (id, consultation_id, patient_id, dependant_id, purpose, decision, notice_version, method, evidence, recorded_by, at)
    SELECT id, consultation_id, patient_id, dependant_id, purpose, decision, notice_version, method, decode(evidence, 'hex'), recorded_by, at
    FROM jsonb_to_recordset(changes -> 'consents') AS x (id uuid, consultation_id uuid, patient_id uuid, dependant_id uuid, purpose text,
      decision text, notice_version text, method text, evidence text, recorded_by uuid, at timestamptz);

  IF jsonb_array_length(changes -> 'guardians') > 0 THEN
    INSERT INTO phi.guardians (consultation_id, version, patient_id, dependant_id, sealed)
      SELECT consultation_id, version, patient_id, dependant_id, decode(sealed, 'hex')
      FROM jsonb_to_recordset(changes -> 'guardians') AS x (consultation_id uuid, version bigint, patient_id uuid, dependant_id uuid, sealed text)
      WHERE version - 1 = (SELECT coalesce(max(g.version), 0) FROM phi.guardians g WHERE g.consultation_id = x.consultation_id)
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS affected = ROW_COUNT;
    IF affected < jsonb_array_length(changes -> 'guardians') THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END IF;

  INSERT INTO visit_presence (consultation_id, side, at)
    SELECT consultation_id, side, at
    FROM jsonb_to_recordset(changes -> 'presence') AS x (consultation_id uuid, side text, at timestamptz)
    ON CONFLICT DO NOTHING;

  -- One by one, in the order given: what was in force makes way first.
  FOR one IN SELECT jsonb_array_elements(changes -> 'prescriptions') LOOP
    IF (one ->> 'version')::bigint = 1 THEN
      INSERT INTO phi.prescriptions (id, consultation_id, patient_id, dependant_id, doctor_id, number, status, version, content, document_state,
                                     document_failures, updated_at)
        SELECT id, consultation_id, patient_id, dependant_id, doctor_id, number, status, version, decode(content, 'hex'), document_state,
               document_failures, updated_at
        FROM jsonb_to_record(one) AS x (id uuid, consultation_id uuid, patient_id uuid, dependant_id uuid, doctor_id uuid, number int,
          status text, version bigint, content text, document_state text, document_failures int, updated_at timestamptz)
        ON CONFLICT DO NOTHING;
    ELSE
      UPDATE phi.prescriptions p
        SET status = x.status, version = x.version, content = decode(x.content, 'hex'), signed = decode(x.signed, 'hex'),
            code_digest = decode(x.code_digest, 'hex'), revoke_reason = decode(x.revoke_reason, 'hex'), revoked_at = x.revoked_at,
            document_state = x.document_state, document_failures = x.document_failures,
            document_sha256 = decode(x.document_sha256, 'hex'), document_at = x.document_at, updated_at = x.updated_at
        FROM jsonb_to_record(one) AS x (id uuid, status text, version bigint, content text, signed text, code_digest text,
          revoke_reason text, revoked_at timestamptz, document_state text, document_failures int, document_sha256 text,
          document_at timestamptz, updated_at timestamptz)
        WHERE p.id = x.id AND p.version = x.version - 1;
    END IF;
    IF NOT FOUND THEN RAISE EXCEPTION 'amrutam:stale'; END IF;
  END LOOP;

  INSERT INTO phi.documents (prescription_id, patient_id, dependant_id, sealed)
    SELECT prescription_id, patient_id, dependant_id, decode(sealed, 'hex')
    FROM jsonb_to_recordset(changes -> 'documents') AS x (prescription_id uuid, patient_id uuid, dependant_id uuid, sealed text);
  PERFORM must_commit_effects(changes -> 'effects');
  RETURN 'ok';
END
$$;

-- 'new'; 'known' when the same rows are there under that version; 'taken' when others are.
CREATE FUNCTION import_formulary(formulary jsonb, effects jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  there formularies;
BEGIN
  INSERT INTO formularies (version, effective_from, approved_by, items)
    SELECT version, effective_from, approved_by, items
    FROM jsonb_to_record(formulary) AS x (version text, effective_from date, approved_by text, items jsonb)
    ON CONFLICT DO NOTHING;
  IF FOUND THEN
    PERFORM must_commit_effects(effects);
    RETURN 'new';
  END IF;
  SELECT * INTO there FROM formularies WHERE version = formulary ->> 'version';
  IF there.items = formulary -> 'items' AND there.effective_from = (formulary ->> 'effective_from')::date
     AND there.approved_by = formulary ->> 'approved_by' THEN
    RETURN 'known';
  END IF;
  RETURN 'taken';
END
$$;

-- The one that holds on a day: of those in force, the one that came last.
CREATE FUNCTION formulary_in_force(day date) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(f) FROM formularies f WHERE f.effective_from <= day ORDER BY f.effective_from DESC, f.version DESC LIMIT 1);
END
$$;

GRANT EXECUTE ON FUNCTION clinical_visit(uuid), clinical_practitioner(uuid), clinical_note(uuid), clinical_prescriptions(uuid), clinical_prescription(uuid, bytea),
  clinical_consents(uuid), clinical_guardian(uuid), clinical_presence(uuid), clinical_document(uuid),
  clinical_earlier(uuid, uuid, uuid, timestamptz, timestamptz), clinical_last_treated(uuid, uuid, uuid, timestamptz),
  clinical_records(uuid, uuid, timestamptz, uuid, int), commit_clinical(jsonb), import_formulary(jsonb, jsonb), formulary_in_force(date) TO amrutam_app;
