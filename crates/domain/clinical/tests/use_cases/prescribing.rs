//! Drafts, dry runs, signing, corrections, revocation, verification.

use super::*;
use amrutam_clinical::{
    events,
    model::{PrescriptionStatus, RevokeReason, VisitKind},
    use_cases::{dry_run, put_draft, read_prescription, revoke, sign, verify},
};
use amrutam_kernel::Denial;

#[tokio::test]
async fn a_complete_draft_is_signed_and_keeps_what_decided_it() {
    let stage = stage().await;
    let id = stage.begun().await;
    let draft = put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    assert_eq!((draft.number, draft.status, draft.version), (1, PrescriptionStatus::Draft, 1));

    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    assert_eq!((assessed.kind, assessed.missing.len(), assessed.checks.len()), (VisitKind::FirstVisit, 0, 2));
    assert_eq!((&*assessed.ruleset, &*assessed.formulary), ("prescribing-1", "ayurveda-1"));

    let signed = sign(stage.deps(), &stage.as_doctor(), id, Some(&[1])).await.unwrap();
    let facts = signed.signed.as_ref().unwrap().expose();
    assert_eq!((signed.status, signed.version, facts.age_years), (PrescriptionStatus::Signed, 2, 36));
    assert_eq!((&*facts.ruleset, &*facts.formulary, facts.decisions.len()), ("prescribing-1", "ayurveda-1", 1));
    assert_eq!(facts.person.name, "Asha Rao");
    assert_eq!(stage.announced(events::SIGNED), 1);
    assert_eq!(stage.audited("prescription.sign"), [Outcome::Allowed]);

    let verified =
        verify(stage.deps(), &stage.clinic.context(Actor::Anonymous), &facts.verify_code.parse().unwrap()).await;
    let verified = verified.unwrap();
    assert_eq!((verified.status, &*verified.initials, verified.items.len()), (PrescriptionStatus::Signed, "A.R.", 1));
    assert!(facts.jws.ends_with(&verified.content_sha256), "what is signed is what is verified");
    assert_eq!(stage.audited("prescription.verify"), [Outcome::Allowed]);
}

#[tokio::test]
async fn a_draft_is_its_authors_alone() {
    let stage = stage().await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    let seen = read_prescription(stage.deps(), &stage.as_doctor(), id).await.unwrap();
    assert!(seen.draft.is_some() && seen.signed.is_none());
    assert!(matches!(refused(read_prescription(stage.deps(), &stage.as_patient(), id).await), ClinicalError::NotFound));
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let seen = read_prescription(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert!(seen.draft.is_none() && seen.signed.is_some());
}

#[tokio::test]
async fn what_is_missing_is_listed_and_nothing_is_signed() {
    let stage = stage().await;
    let id = stage.begun().await;
    let content = PrescriptionContent { complaint: String::new(), practice_address: " ".into(), ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let ClinicalError::Incomplete(missing) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    let fields: Vec<_> = missing.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["/practice_address", "/complaint"]);
    assert_eq!(stage.announced(events::SIGNED), 0);
}

#[tokio::test]
async fn every_caution_is_answered_with_a_reason_before_it_is_signed() {
    let stage = stage().await;
    let id = stage.begun().await;
    // Tribhuvanakirti: Schedule E(1).
    let e1 = item("AYU-RAS-002", "125", Unit::Milligram, "3500");
    let content = PrescriptionContent { items: vec![e1.clone()], acknowledged: vec![], ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content.clone(), None).await.unwrap();
    let ClinicalError::Objections(objections) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    let told: Vec<_> = objections.iter().map(|one| (one.pointer.as_str(), one.rule, one.answerable)).collect();
    let expected =
        [("/items/0", Rule::E1Caution, true), ("", Rule::InteractionCheck, true), ("", Rule::AllergyCheck, true)];
    assert_eq!(told, expected);
    let answered_item = PrescribedItem { acknowledged: vec![answered(Rule::E1Caution)], ..e1 };
    let acknowledged = complete_content().acknowledged;
    let content = PrescriptionContent { items: vec![answered_item], acknowledged, ..content };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, Some(&[1])).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
}

#[tokio::test]
async fn what_is_denied_cant_be_answered() {
    let stage = stage().await;
    let id = stage.begun_by(Mode::Audio).await;
    // List A at a first visit by audio.
    let mut denied = item("AYU-VAT-001", "250", Unit::Milligram, "7000");
    denied.acknowledged = Rule::ALL.iter().map(|rule| answered(*rule)).collect();
    let content = PrescriptionContent { items: vec![denied], ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let ClinicalError::Objections(objections) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    assert_eq!(objections.iter().map(|one| (one.rule, one.answerable)).collect::<Vec<_>>(), [(Rule::ListA, false)]);
}

#[tokio::test]
async fn the_same_condition_again_is_a_follow_up() {
    let stage = stage().await;
    let first = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), first, complete_content(), None).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), first, None).await.unwrap();
    stage.end(first).await;
    let second = stage.begun_by(Mode::Audio).await;
    // List B, by audio: at a follow-up only.
    let mut list_b = item("AYU-BHA-010", "60", Unit::Milligram, "1680");
    list_b.acknowledged = vec![];
    let content = PrescriptionContent { items: vec![list_b], ..complete_content() };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), second, Some(content.clone())).await.unwrap();
    assert_eq!(assessed.kind, VisitKind::FollowUp);
    assert!(assessed.items[0].decision.denials().is_empty(), "{:?}", assessed.items);
    let other = Diagnosis { text: "Sandhivata".into(), provisional: true, namaste_code: None, icd11_tm2_code: None };
    let content = PrescriptionContent { diagnoses: vec![other], ..content };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), second, Some(content)).await.unwrap();
    assert_eq!(assessed.kind, VisitKind::FirstVisit);
    assert_eq!(assessed.items[0].decision.denials()[0].rule, Rule::ListB);
}

#[tokio::test]
async fn a_correction_is_a_new_version_and_a_revocation_gives_its_reason() {
    let stage = stage().await;
    let id = stage.begun().await;
    for number in [1, 2] {
        let draft = put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&[0])).await.unwrap();
        assert_eq!(draft.number, number);
        sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    }
    let seen = read_prescription(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert_eq!(seen.signed.map(|one| one.number), Some(2));
    assert_eq!((stage.announced(events::SIGNED), stage.announced(events::SUPERSEDED)), (2, 1));
    let revoked = revoke(stage.deps(), &stage.as_doctor(), id, RevokeReason::MedicationError).await.unwrap();
    assert_eq!((revoked.number, revoked.status), (2, PrescriptionStatus::Revoked));
    let event = stage.clinic.world.outbox().into_iter().find(|event| event.event_type == events::REVOKED).unwrap();
    assert!(!event.payload.to_string().contains("medication_error"), "why is between doctor and patient: {event:?}");
    assert_eq!(revoked.revoked.map(|(reason, _)| reason), Some(RevokeReason::MedicationError));
    let again = refused(revoke(stage.deps(), &stage.as_doctor(), id, RevokeReason::Other).await);
    assert!(matches!(again, ClinicalError::Change(change) if change.from == PrescriptionStatus::Revoked));
    let code = revoked.signed.unwrap().expose().verify_code.parse().unwrap();
    let verified = verify(stage.deps(), &stage.clinic.context(Actor::Anonymous), &code).await.unwrap();
    assert_eq!(verified.status, PrescriptionStatus::Revoked);
}

#[tokio::test]
async fn only_the_doctor_of_the_visit_signs_with_a_fresh_factor_and_in_its_time() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    let early = refused(put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await);
    assert!(matches!(early, ClinicalError::VisitClosed));
    stage.begin(id).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();

    let patient = refused(sign(stage.deps(), &stage.as_patient(), id, None).await);
    assert!(matches!(patient, ClinicalError::Denied(Denial::Forbidden)), "{patient:?}");
    let other = stage.clinic.person(Role::Doctor, "other@amrutam.example").await.unwrap();
    let other = stage.clinic.context(Actor::Account { id: other, role: Role::Doctor });
    assert!(matches!(refused(sign(stage.deps(), &other, id, None).await), ClinicalError::NotFound));
    let stale = stage.as_doctor();
    stage.clinic.clock.advance(minutes(5));
    let stale = refused(sign(stage.deps(), &stale, id, None).await);
    assert!(matches!(stale, ClinicalError::Denied(Denial::StepUpRequired)), "{stale:?}");
    assert_eq!(stage.audited("prescription.sign"), [Outcome::Denied; 3]);

    stage.end(id).await;
    stage.clinic.clock.advance(minutes(24 * 60 + 1));
    let late = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await);
    assert!(matches!(late, ClinicalError::VisitClosed), "{late:?}");
}

#[tokio::test]
async fn a_stale_copy_signs_and_writes_nothing() {
    let stage = stage().await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&[0])).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&[1])).await.unwrap();
    let stale = refused(put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&[1])).await);
    assert!(matches!(stale, ClinicalError::Precondition));
    assert!(matches!(
        refused(sign(stage.deps(), &stage.as_doctor(), id, Some(&[1])).await),
        ClinicalError::Precondition
    ));
}

#[tokio::test]
async fn a_code_that_the_formulary_lacks_is_refused_and_one_without_a_code_counts_as_list_a() {
    let stage = stage().await;
    let id = stage.begun().await;
    let content = PrescriptionContent { items: vec![item("AYU-XXX-001", "3", Unit::Gram, "84")], ..complete_content() };
    let unknown = refused(dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await);
    assert!(matches!(unknown, ClinicalError::UnknownItem { index: 0 }));
    let uncoded = PrescribedItem { code: None, ..item("AYU-XXX-001", "3", Unit::Gram, "84") };
    let content = PrescriptionContent { items: vec![uncoded], ..complete_content() };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await.unwrap();
    assert!(assessed.items[0].decision.cautions().iter().any(|finding| finding.rule == Rule::UnknownItem));
}

#[tokio::test]
async fn an_unknown_code_verifies_nothing() {
    let stage = stage().await;
    let nobody = stage.clinic.context(Actor::Anonymous);
    let code = "00000000000000000000000000".parse().unwrap();
    assert!(matches!(refused(verify(stage.deps(), &nobody, &code).await), ClinicalError::NotFound));
}
