//! Who reads a patient's record.

use super::*;
use amrutam_booking::{ports::DirectoryStore, use_cases::suspend};
use amrutam_clinical::{
    events,
    model::{
        BreakGlassReason, ConsentDecision, ConsentMethod, ConsentPurpose, NOT_BEGUN, NoteContent, PrescriptionStatus,
        RevokeReason,
    },
    ports::{ClinicalStore, RecordEntry},
    use_cases::{
        GiveConsent, add_to_note, dry_run, is_open_to_side, put_draft, read_consents, read_document, read_note,
        read_prescription, read_records, record_consent, revoke, sign, write_note,
    },
};
use amrutam_kernel::{Denial, DoctorId, Limit, PageRequest};

const FIRST: fn() -> PageRequest<(jiff::Timestamp, ConsultationId)> =
    || PageRequest { limit: Limit::default(), after: None };

async fn with_record() -> (Stage, ConsultationId) {
    let stage = stage().await;
    let id = stage.begun().await;
    let content = NoteContent { subjective: "burning".into(), ..NoteContent::default() };
    write_note(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    stage.end(id).await;
    (stage, id)
}

#[tokio::test]
async fn the_patient_and_who_treats_them_read_what_was_signed() {
    let (stage, id) = with_record().await;
    for reader in [stage.as_patient(), stage.as_doctor()] {
        let page = read_records(stage.deps(), &reader, stage.patient, None, None, FIRST()).await.unwrap();
        assert_eq!((page.items.len(), page.items[0].consultation), (1, id));
        assert!(page.items[0].note.is_some());
        assert_eq!(page.items[0].prescriptions.len(), 1, "no draft");
    }
    // The record, and the visit in it, for each reader.
    let read = stage.clinic.world.audit().into_iter().filter(|entry| entry.action == "record.read");
    let named: Vec<_> = read.map(|entry| (entry.resource_kind, entry.resource_id, entry.outcome)).collect();
    let once =
        [("record", stage.patient.to_string(), Outcome::Allowed), ("consultation", id.to_string(), Outcome::Allowed)];
    assert_eq!(named, [once.clone(), once].concat());
    assert_eq!(stage.announced(events::RECORD_OPENED), 0);
}

#[tokio::test]
async fn a_treating_relation_ends_with_the_rulesets_days() {
    let (stage, _) = with_record().await;
    stage.clinic.clock.advance(SignedDuration::from_hours(366 * 24));
    let reader = stage.as_doctor();
    let refusal = refused(read_records(stage.deps(), &reader, stage.patient, None, None, FIRST()).await);
    assert!(matches!(refusal, ClinicalError::NotFound), "{refusal:?}");
}

/// What could harm is taken back all the same, and nothing of it is read by that.
#[tokio::test]
async fn who_treats_no_more_revokes_unseen() {
    let (stage, id) = with_record().await;
    stage.clinic.clock.advance(SignedDuration::from_hours(366 * 24));
    let doctor = stage.as_doctor();
    assert_eq!(revoke(stage.deps(), &doctor, id, RevokeReason::AdverseReaction).await.unwrap(), None);
    let seen = read_prescription(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert_eq!(seen.signed.unwrap().status, PrescriptionStatus::Revoked);
    let refusal = refused(dry_run(stage.deps(), &doctor, id, None).await);
    assert!(matches!(refusal, ClinicalError::NotFound), "{refusal:?}");
    assert_eq!(stage.audited("prescription.dry_run").last(), Some(&Outcome::Denied));
}

#[tokio::test]
async fn a_visit_that_nobody_began_makes_a_relation_for_a_day() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    let ends_at = ClinicalStore::visit(&stage.clinic.world, id).await.unwrap().unwrap().range.end();
    let reads = async || {
        let page = read_records(stage.deps(), &stage.as_doctor(), stage.patient, None, None, FIRST()).await;
        page.map(|page| page.items.len())
    };
    stage.clinic.clock.set(ends_at + NOT_BEGUN - SignedDuration::from_secs(1));
    assert_eq!(reads().await.unwrap(), 0);
    stage.clinic.clock.set(ends_at + NOT_BEGUN);
    let refusal = refused(reads().await);
    assert!(matches!(refusal, ClinicalError::NotFound), "{refusal:?}");
}

#[tokio::test]
async fn what_was_written_at_a_visit_is_read_for_as_long_as_the_record() {
    let (stage, id) = with_record().await;
    let reads = async |reader: &Context| {
        let note = read_note(stage.deps(), reader, id).await.map(drop);
        let prescription = read_prescription(stage.deps(), reader, id).await.map(drop);
        let document = match read_document(stage.deps(), reader, id).await {
            Err(ClinicalError::DocumentAwaited) => Ok(()),
            other => other.map(drop),
        };
        let consents = read_consents(stage.deps(), reader, id).await.map(drop);
        [note, prescription, document, consents]
    };
    stage.clinic.clock.advance(SignedDuration::from_hours(364 * 24));
    add_to_note(stage.deps(), &stage.as_doctor(), id, "better".into(), Some(&[1])).await.unwrap();
    assert!(reads(&stage.as_doctor()).await.iter().all(Result::is_ok));
    assert!(is_open_to_side(stage.deps(), &stage.as_doctor(), id).await.unwrap());
    stage.clinic.clock.advance(SignedDuration::from_hours(2 * 24));
    for refusal in reads(&stage.as_doctor()).await {
        assert!(matches!(refused(refusal), ClinicalError::NotFound));
    }
    let late = refused(add_to_note(stage.deps(), &stage.as_doctor(), id, "late".into(), Some(&[2])).await);
    assert!(matches!(late, ClinicalError::NotFound), "nobody adds to what they may not read");
    assert_eq!(stage.audited("note.read").last(), Some(&Outcome::Denied));
    assert!(reads(&stage.as_patient()).await.iter().all(Result::is_ok), "it is theirs");
    assert!(!is_open_to_side(stage.deps(), &stage.as_doctor(), id).await.unwrap(), "nor the words in the visit itself");
    assert!(is_open_to_side(stage.deps(), &stage.as_patient(), id).await.unwrap());
}

#[tokio::test]
async fn another_doctor_breaks_the_glass_and_the_patient_is_told() {
    let (stage, _) = with_record().await;
    let other = another_doctors_account(&stage).await;
    let actor = Actor::Account { id: other, role: Role::Doctor };
    let refusal =
        refused(read_records(stage.deps(), &stage.clinic.context(actor), stage.patient, None, None, FIRST()).await);
    assert!(matches!(refusal, ClinicalError::NotFound));
    let glass = Some(BreakGlassReason::Emergency);
    let stale = stage.clinic.context(actor);
    stage.clinic.clock.advance(minutes(5));
    let refusal = refused(read_records(stage.deps(), &stale, stage.patient, None, glass, FIRST()).await);
    assert!(matches!(refusal, ClinicalError::Denied(Denial::StepUpRequired)));
    let page =
        read_records(stage.deps(), &stage.clinic.context(actor), stage.patient, None, glass, FIRST()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    // The record, and the visit in it.
    assert_eq!(stage.audited("record.break_glass"), [Outcome::Denied, Outcome::Allowed, Outcome::Allowed]);
    let event =
        stage.clinic.world.outbox().into_iter().find(|event| event.event_type == events::RECORD_OPENED).unwrap();
    assert_eq!(event.payload["account_id"], stage.patient.to_string());
    assert_eq!(event.payload["reason"], "emergency");
    // Whoever treats the patient breaks no glass.
    read_records(stage.deps(), &stage.as_doctor(), stage.patient, None, glass, FIRST()).await.unwrap();
    assert_eq!(stage.announced(events::RECORD_OPENED), 1);
    // Of somebody without a record there is nothing to see.
    let nobody = stage.clinic.person(Role::Patient, "nobody@amrutam.example").await.unwrap();
    let refusal = refused(read_records(stage.deps(), &stage.clinic.context(actor), nobody, None, glass, FIRST()).await);
    assert!(matches!(refusal, ClinicalError::NotFound));
}

#[tokio::test]
async fn what_another_doctor_wrote_is_shown_when_the_patient_agreed_to_share_it() {
    let (stage, id) = with_record().await;
    let other = stage.clinic.another_doctor().await.unwrap();
    let later = stage.clinic.clock.now() + minutes(60);
    let slots = stage.clinic.open_slots_of(other).await.unwrap();
    let slot = slots.into_iter().find(|slot| slot.range.start() > later).unwrap();
    let theirs = stage.booked(&slot, Mode::Video).await;
    let account = account_of(&stage, other).await;
    let reads = async |glass| {
        let reader = stage.clinic.context(Actor::Account { id: account, role: Role::Doctor });
        let page = read_records(stage.deps(), &reader, stage.patient, None, glass, FIRST()).await.unwrap();
        let seen = |one: &RecordEntry| (one.consultation, one.withheld, one.note.is_some(), one.prescriptions.len());
        page.items.iter().map(seen).collect::<Vec<_>>()
    };
    let says = async |visit, decision| {
        let said = GiveConsent {
            purpose: ConsentPurpose::RecordSharing,
            decision,
            notice_version: "record-sharing-1".into(),
            method: ConsentMethod::InApp,
            evidence: None,
        };
        record_consent(stage.deps(), &stage.as_patient(), visit, said).await.unwrap();
    };
    let (closed, open) = ([(id, true, false, 0)], [(id, false, true, 1)]);
    assert_eq!(reads(None).await, closed);
    assert_eq!(stage.audited("record.read"), [Outcome::Allowed], "the record, and no visit of it");
    says(theirs, ConsentDecision::Given).await;
    assert_eq!(reads(None).await, closed, "that was of another visit");
    says(id, ConsentDecision::Given).await;
    assert_eq!(reads(None).await, open);
    assert_eq!(reads(Some(BreakGlassReason::Emergency)).await, open);
    assert_eq!(stage.announced(events::RECORD_OPENED), 0, "there was no glass to break");
    says(id, ConsentDecision::Withdrawn).await;
    assert_eq!(reads(None).await, closed);
    for reader in [stage.as_patient(), stage.as_doctor()] {
        let page = read_records(stage.deps(), &reader, stage.patient, None, None, FIRST()).await.unwrap();
        assert!(!page.items[0].withheld && page.items[0].note.is_some());
    }
    assert_eq!(reads(Some(BreakGlassReason::Emergency)).await, open);
    assert_eq!(stage.announced(events::RECORD_OPENED), 1);
    assert_eq!(stage.audited("record.break_glass"), [Outcome::Allowed; 2]);
}

async fn another_doctors_account(stage: &Stage) -> AccountId {
    account_of(stage, stage.clinic.another_doctor().await.unwrap()).await
}

async fn account_of(stage: &Stage, doctor: DoctorId) -> AccountId {
    let profile = DirectoryStore::by_id(&stage.clinic.world, doctor).await.unwrap();
    profile.unwrap().account
}

#[tokio::test]
async fn who_may_not_practise_today_breaks_no_glass() {
    let (stage, _) = with_record().await;
    let opens = async |account| {
        let reader = stage.clinic.context(Actor::Account { id: account, role: Role::Doctor });
        let glass = Some(BreakGlassReason::Emergency);
        read_records(stage.deps(), &reader, stage.patient, None, glass, FIRST()).await.map(|page| page.items.len())
    };
    // Without a profile; then with one that is suspended.
    let nobody = stage.clinic.person(Role::Doctor, "other@amrutam.example").await.unwrap();
    assert!(matches!(refused(opens(nobody).await), ClinicalError::Denied(Denial::Forbidden)));
    let doctor = stage.clinic.another_doctor().await.unwrap();
    let account = account_of(&stage, doctor).await;
    assert_eq!(opens(account).await.unwrap(), 1);
    let admin = stage.clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    let admin = stage.clinic.context(Actor::Account { id: admin, role: Role::Admin });
    suspend(stage.clinic.directory(), &admin, doctor, None).await.unwrap();
    assert!(matches!(refused(opens(account).await), ClinicalError::Denied(Denial::Forbidden)));
    // The record and the visit in it are named each.
    let opened = [Outcome::Allowed; 2];
    assert_eq!(stage.audited("record.break_glass"), [&[Outcome::Denied], &opened[..], &[Outcome::Denied]].concat());
    assert_eq!(stage.announced(events::RECORD_OPENED), 1);
}

#[tokio::test]
async fn nobody_else_reads_it() {
    let (stage, _) = with_record().await;
    for (role, hidden) in [(Role::Patient, true), (Role::Support, false), (Role::Admin, false), (Role::Auditor, false)]
    {
        let id = stage.clinic.person(role, &format!("{role}@amrutam.example")).await.unwrap();
        let reader = stage.clinic.context(Actor::Account { id, role });
        for glass in [None, Some(BreakGlassReason::Emergency)] {
            let refusal = refused(read_records(stage.deps(), &reader, stage.patient, None, glass, FIRST()).await);
            let expected = hidden && glass.is_none();
            assert_eq!(matches!(refusal, ClinicalError::NotFound), expected, "{role}: {refusal:?}");
        }
    }
}
