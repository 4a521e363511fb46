//! Consents, guardians, presence.

use super::*;
use amrutam_clinical::{
    model::{
        AdmissionRefusal, ConsentDecision, ConsentMethod, ConsentPurpose, ConsentRefusal, Guardian, IdType, Kinship,
        NoShowRefusal, Side,
    },
    use_cases::{
        GiveConsent, admit, check_absence, check_in, check_known, put_draft, read_consents, record_consent,
        record_guardian, sign,
    },
};
use amrutam_identity::ports::AccountChange;

fn given(purpose: ConsentPurpose, notice: &str) -> GiveConsent {
    GiveConsent {
        purpose,
        decision: ConsentDecision::Given,
        notice_version: notice.into(),
        method: ConsentMethod::InApp,
        evidence: None,
    }
}

fn father() -> Guardian {
    Guardian { name: "Ravi Rao".into(), relation: Kinship::Father, id_type: IdType::Pan, id_last_four: "12A4".into() }
}

#[tokio::test]
async fn beginning_records_the_consent_that_booking_implied_once() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    // Whoever tries to begin too early leaves nothing.
    let begins = stage.clinic.clock.now();
    stage.clinic.clock.set(begins - minutes(11));
    admit(stage.deps(), &stage.as_doctor(), id, minutes(10)).await.unwrap();
    assert_eq!(read_consents(stage.deps(), &stage.as_patient(), id).await.unwrap(), []);
    stage.clinic.clock.set(begins);
    admit(stage.deps(), &stage.as_doctor(), id, minutes(10)).await.unwrap();
    stage.begin(id).await.unwrap();
    let consents = read_consents(stage.deps(), &stage.as_patient(), id).await.unwrap();
    let told: Vec<_> = consents.iter().map(|one| (one.purpose, one.method, one.decision, one.recorded_by)).collect();
    let expected = (ConsentPurpose::Teleconsultation, ConsentMethod::Implied, ConsentDecision::Given, stage.patient);
    assert_eq!(told, [expected]);
    assert_eq!(consents[0].notice_version, "teleconsultation-1");
}

#[tokio::test]
async fn whom_a_doctor_knows_they_have_seen_at_a_visit_before() {
    let stage = stage().await;
    let slots = stage.clinic.open_slots().await.unwrap();
    let (first, called_off, second) =
        (stage.booked(&slots[0], Mode::Video).await, &slots[1], stage.booked(&slots[2], Mode::Video).await);
    let unheld = stage.booked(called_off, Mode::Video).await;
    let known = async |id| check_known(stage.deps(), &stage.as_doctor(), id).await;
    let unknown = |told| matches!(told, Err(ClinicalError::Admission(AdmissionRefusal::NoEarlierVisit)));
    stage.clinic.clock.set(slots[0].range.start());
    assert!(unknown(known(first).await));
    assert_eq!(stage.audited("consultation.start"), [Outcome::Failed]);
    assert!(check_known(stage.deps(), &stage.as_patient(), first).await.is_ok(), "the start itself refuses them");
    stage.begin(first).await.unwrap();
    assert!(known(first).await.is_ok(), "what has begun is answered as it was");
    assert!(unknown(known(unheld).await), "not before it is over");
    stage.end(first).await;
    known(second).await.unwrap();

    // Whom the patient keeps is somebody else.
    let child = stage.keeps("2015-05-17").await;
    let theirs = stage.booked_for(&slots[3], Mode::Video, Some(child.id)).await.unwrap();
    assert!(unknown(known(theirs).await));
}

#[tokio::test]
async fn a_consent_is_withdrawn_as_easily_as_given() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    let patient = stage.as_patient();
    let consent = given(ConsentPurpose::Teleconsultation, "teleconsultation-1");
    record_consent(stage.deps(), &patient, id, consent.clone()).await.unwrap();
    let withdrawn =
        GiveConsent { decision: ConsentDecision::Withdrawn, notice_version: String::new(), ..consent.clone() };
    record_consent(stage.deps(), &patient, id, withdrawn).await.unwrap();
    let refusal = refused(stage.begin(id).await);
    assert!(matches!(refusal, ClinicalError::Admission(AdmissionRefusal::ConsentWithdrawn)));
    let outdated = GiveConsent { notice_version: "teleconsultation-0".into(), ..consent };
    let refusal = refused(record_consent(stage.deps(), &patient, id, outdated).await);
    assert!(matches!(refusal, ClinicalError::Consent(ConsentRefusal::NoticeOutdated)));
    assert_eq!(stage.audited("consultation.start"), [Outcome::Failed]);
    assert_eq!(stage.audited("consent.give"), [Outcome::Allowed, Outcome::Failed]);
    assert_eq!(stage.audited("consent.withdraw"), [Outcome::Allowed]);
}

#[tokio::test]
async fn a_withdrawal_names_a_notice_that_was_shown_or_none() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    let withdrawn =
        |notice: &str| GiveConsent { decision: ConsentDecision::Withdrawn, ..given(ConsentPurpose::Recording, notice) };
    for told in ["she fears for her job", "recording-0", "teleconsultation-1"] {
        let refusal = refused(record_consent(stage.deps(), &stage.as_patient(), id, withdrawn(told)).await);
        assert!(matches!(refusal, ClinicalError::Consent(ConsentRefusal::NoticeOutdated)), "{told}");
    }
    for known in ["recording-1", ""] {
        record_consent(stage.deps(), &stage.as_patient(), id, withdrawn(known)).await.unwrap();
    }
    // For somebody else: how, and what shows it.
    let refusal = refused(record_consent(stage.deps(), &stage.as_doctor(), id, withdrawn("")).await);
    assert!(matches!(refusal, ClinicalError::Consent(ConsentRefusal::EvidenceRequired)));
    let implied = GiveConsent { method: ConsentMethod::Implied, ..withdrawn("") };
    let refusal = refused(record_consent(stage.deps(), &stage.as_patient(), id, implied).await);
    assert!(matches!(refusal, ClinicalError::Consent(ConsentRefusal::NotToBeStated)));
    let evidence = Some(Sensitive::new("said no at 9:04".to_owned()));
    let by_doctor = GiveConsent { method: ConsentMethod::Verbal, evidence, ..withdrawn("") };
    record_consent(stage.deps(), &stage.as_doctor(), id, by_doctor).await.unwrap();
}

#[tokio::test]
async fn a_doctor_records_a_consent_with_its_evidence() {
    let stage = stage().await;
    let id = stage.begun().await;
    let consent = given(ConsentPurpose::Recording, "recording-1");
    let bare = refused(record_consent(stage.deps(), &stage.as_doctor(), id, consent.clone()).await);
    assert!(matches!(bare, ClinicalError::Consent(ConsentRefusal::EvidenceRequired)));
    let evidence = Some(Sensitive::new("said yes at 9:04".to_owned()));
    let said = GiveConsent { method: ConsentMethod::Verbal, evidence, ..consent };
    let recorded = record_consent(stage.deps(), &stage.as_doctor(), id, said).await.unwrap();
    assert_eq!(recorded.recorded_by, stage.clinic.doctor_account);
}

#[tokio::test]
async fn a_minors_visit_begins_when_an_adult_is_recorded() {
    let stage = stage_of("2012-01-01").await;
    let id = stage.confirmed(Mode::Video).await;
    let refusal = refused(stage.begin(id).await);
    assert!(matches!(refusal, ClinicalError::Admission(AdmissionRefusal::GuardianRequired)));
    let nameless = Guardian { name: " ".into(), ..father() };
    let refusal = refused(record_guardian(stage.deps(), &stage.as_patient(), id, nameless).await);
    assert!(matches!(refusal, ClinicalError::IncompleteGuardian));
    record_guardian(stage.deps(), &stage.as_patient(), id, father()).await.unwrap();
    let second = record_guardian(stage.deps(), &stage.as_doctor(), id, father()).await.unwrap();
    assert_eq!(second.version, 2);
    stage.begin(id).await.unwrap();
    record_guardian(stage.deps(), &stage.as_doctor(), id, father()).await.unwrap();
    stage.end(id).await;
    for side in [stage.as_patient(), stage.as_doctor()] {
        let late = refused(record_guardian(stage.deps(), &side, id, father()).await);
        assert!(matches!(late, ClinicalError::VisitClosed), "{late:?}");
    }
}

#[tokio::test]
async fn nothing_is_signed_for_a_minor_without_an_adult_although_the_visit_has_begun() {
    let stage = stage_of("").await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    let ClinicalError::Incomplete(missing) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    assert_eq!(missing.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["/patient/date_of_birth"]);
    // It is told during the visit.
    let account = AccountStore::by_id(&stage.clinic.world, stage.patient).await.unwrap().undisclosed().unwrap();
    let mut told = Account { version: account.version + 1, ..account };
    told.profile.date_of_birth = Some(Sensitive::new("2012-01-01".parse().unwrap()));
    let change = AccountChange { account: &told, spend: None, void_links: None, end_sessions: None };
    AccountStore::update(&stage.clinic.world, change, &Effects::default()).await.unwrap();
    let refusal = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await);
    assert!(matches!(refusal, ClinicalError::Admission(AdmissionRefusal::GuardianRequired)), "{refusal:?}");
    record_guardian(stage.deps(), &stage.as_patient(), id, father()).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
}

#[tokio::test]
async fn who_did_not_come_says_nothing_of_the_other() {
    for side in [Side::Patient, Side::Doctor] {
        let stage = stage().await;
        let slot = stage.clinic.open_slots().await.unwrap().remove(2);
        let id = stage.booked(&slot, Mode::Video).await;
        let claims = || if side == Side::Patient { stage.as_patient() } else { stage.as_doctor() };
        stage.clinic.clock.set(slot.range.start() + minutes(10));
        let refusal = refused(check_absence(stage.deps(), &claims(), id, minutes(10)).await);
        assert!(matches!(refusal, ClinicalError::NoShow(NoShowRefusal::NotThereYourself)), "{side:?}: {refusal:?}");
        assert_eq!(stage.audited("consultation.no_show"), [Outcome::Failed], "{side:?}");
        // Whoever comes after the grace has not come.
        stage.clinic.clock.set(slot.range.start() + minutes(11));
        check_in(stage.deps(), &claims(), id, minutes(10)).await.unwrap();
        let refusal = refused(check_absence(stage.deps(), &claims(), id, minutes(10)).await);
        assert!(matches!(refusal, ClinicalError::NoShow(NoShowRefusal::NotThereYourself)), "{side:?}: {refusal:?}");
    }
}

#[tokio::test]
async fn who_checked_in_is_not_absent() {
    let stage = stage().await;
    let slot = stage.clinic.open_slots().await.unwrap().remove(2);
    let id = stage.booked(&slot, Mode::Video).await;
    let early = minutes(10);
    stage.clinic.clock.set(slot.range.start() - minutes(11));
    let refusal = refused(check_in(stage.deps(), &stage.as_patient(), id, early).await);
    assert!(matches!(refusal, ClinicalError::TooEarly { from } if from == slot.range.start() - early));
    stage.clinic.clock.set(slot.range.start() - minutes(3));
    let seen = check_in(stage.deps(), &stage.as_patient(), id, early).await.unwrap();
    assert_eq!(seen.side, Side::Patient);
    stage.clinic.clock.set(slot.range.start() + minutes(12));
    let refusal = refused(check_absence(stage.deps(), &stage.as_doctor(), id, minutes(10)).await);
    assert!(matches!(refusal, ClinicalError::NoShow(NoShowRefusal::OtherSidePresent)));
    check_absence(stage.deps(), &stage.as_patient(), id, minutes(10)).await.unwrap();
    stage.clinic.clock.set(slot.range.end());
    assert!(matches!(
        refused(check_in(stage.deps(), &stage.as_patient(), id, early).await),
        ClinicalError::VisitClosed
    ));
}
