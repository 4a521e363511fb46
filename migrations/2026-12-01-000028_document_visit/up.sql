-- A document, and what was said at an earlier visit, say of which visit they are: by that the record of accesses names them.
CREATE OR REPLACE FUNCTION clinical_document(wanted uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(d) || jsonb_build_object('consultation_id', p.consultation_id) FROM phi.documents d JOIN phi.prescriptions p ON p.id = d.prescription_id WHERE d.prescription_id = wanted);
END
$$;

CREATE OR REPLACE FUNCTION clinical_earlier(patient uuid, dependant uuid, doctor uuid, since timestamptz, before timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('consultation', c.id, 'starts_at', c.starts_at, 'note', clinical_note(c.id),
                   'prescriptions', (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM phi.prescriptions p
                                       WHERE p.consultation_id = c.id AND p.status = 'signed')) ORDER BY c.starts_at), '[]')
            FROM consultations c
            WHERE c.patient_id = patient AND c.dependant_id IS NOT DISTINCT FROM dependant AND c.doctor_id = doctor
              AND c.status = 'completed'
              AND c.starts_at >= since AND c.starts_at < before);
END
$$;
