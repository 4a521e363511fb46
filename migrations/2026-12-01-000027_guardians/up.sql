-- A copy of what is held has every version of who accompanied a minor, not only the last.
CREATE OR REPLACE FUNCTION held_of(account uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'consultations', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'consultation', to_jsonb(c),
        'doctor', (SELECT jsonb_build_object('id', d.id, 'name', d.full_name, 'council', d.council,
                                             'registration_number', d.registration_number) FROM doctors d WHERE d.id = c.doctor_id),
        'reason', (SELECT r.sealed FROM phi.visit_reasons r WHERE r.consultation_id = c.id),
        'summary', (SELECT to_jsonb(s) FROM phi.visit_summaries s WHERE s.consultation_id = c.id),
        'timeline', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.version), '[]') FROM consultation_timeline t
                       WHERE t.consultation_id = c.id AND t.consultation_created_at = c.created_at),
        'presence', clinical_presence(c.id),
        'consents', clinical_consents(c.id),
        -- For the release before.
        'guardian', clinical_guardian(c.id),
        'guardians', (SELECT coalesce(jsonb_agg(to_jsonb(g) ORDER BY g.version), '[]') FROM phi.guardians g
                        WHERE g.consultation_id = c.id),
        'notes', (SELECT coalesce(jsonb_agg(to_jsonb(n) ORDER BY n.version), '[]') FROM phi.note_versions n
                    WHERE n.consultation_id = c.id),
        'prescriptions', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.number), '[]') FROM phi.prescriptions p
                            WHERE p.consultation_id = c.id AND p.status <> 'draft'))
      ORDER BY c.starts_at, c.id), '[]') FROM consultations c WHERE c.patient_id = account),
    'dependants', (SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.added_at, k.id), '[]') FROM phi.dependants k
                     WHERE k.keeper_id = account),
    'payments', (SELECT coalesce(jsonb_agg(to_jsonb(p) - 'document' - 'look_at' - 'revision' || jsonb_build_object(
        'captures', (SELECT coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.captured_at), '[]') FROM payment_captures k
                       WHERE k.payment_id = p.id),
        'timeline', (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'evidence' ORDER BY t.version), '[]') FROM payment_timeline t
                       WHERE t.payment_id = p.id))
      ORDER BY p.created_at), '[]') FROM payments p WHERE p.patient_id = account),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'kind', m.kind, 'consultation_id', m.consultation_id,
        'due_at', m.due_at, 'status', m.status, 'settled_at', m.settled_at) ORDER BY m.due_at), '[]')
      FROM scheduled_messages m WHERE m.recipient_id = account),
    'sessions', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'created_at', s.created_at, 'last_used_at', s.last_used_at,
        'label', s.label, 'ended_at', s.ended_at, 'end_reason', s.end_reason) ORDER BY s.created_at), '[]')
      FROM sessions s WHERE s.account_id = account),
    'second_factor', (SELECT jsonb_build_object('confirmed_at', f.confirmed_at) FROM totp_factors f
      WHERE f.account_id = account AND f.state = 'confirmed'),
    'exports', (SELECT coalesce(jsonb_agg(to_jsonb(e) - 'sha256' ORDER BY e.requested_at), '[]') FROM exports e
      WHERE e.account_id = account),
    'profile', (SELECT to_jsonb(d) FROM doctors d WHERE d.account_id = account));
END
$$;
