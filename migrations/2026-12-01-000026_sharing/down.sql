CREATE OR REPLACE FUNCTION clinical_records(patient uuid, dependant uuid, after_start timestamptz, after_id uuid, most int) RETURNS jsonb
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

CREATE OR REPLACE FUNCTION commit_clinical(changes jsonb) RETURNS text
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
