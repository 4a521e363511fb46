//! Consent per purpose, and the adult beside a minor.

use super::*;
use amrutam_clinical::model::{
    AdmissionRefusal, Consent, ConsentDecision, ConsentMethod, ConsentPurpose, ConsentRefusal, Guardian, IdType,
    Kinship, admit, check_consent, notices, standing,
};
use amrutam_kernel::ConsentId;

fn consent(n: u128, purpose: ConsentPurpose, decision: ConsentDecision) -> Consent {
    Consent {
        id: ConsentId::from_uuid(Uuid::from_u128(n)),
        consultation: visit().id,
        subject: visit().subject,
        purpose,
        decision,
        notice_version: "x-1".into(),
        method: ConsentMethod::InApp,
        evidence: None,
        recorded_by: AccountId::from_uuid(Uuid::from_u128(1)),
        at: at("2026-11-30T04:00:00Z"),
    }
}

#[test]
fn a_consent_names_the_notice_that_is_shown_now() {
    let check = |version, method, evidence, by_patient| {
        check_consent(&notices(), ConsentPurpose::Recording, version, method, evidence, by_patient)
    };
    assert_eq!(check("recording-1", ConsentMethod::InApp, None, true), Ok(()));
    assert_eq!(check("recording-0", ConsentMethod::InApp, None, true), Err(ConsentRefusal::NoticeOutdated));
    assert_eq!(check("teleconsultation-1", ConsentMethod::InApp, None, true), Err(ConsentRefusal::NoticeOutdated));
    assert_eq!(check("recording-1", ConsentMethod::Implied, None, true), Err(ConsentRefusal::NotToBeStated));
}

#[test]
fn what_somebody_else_records_needs_method_and_evidence() {
    let check =
        |method, evidence| check_consent(&notices(), ConsentPurpose::Recording, "recording-1", method, evidence, false);
    assert_eq!(check(ConsentMethod::Verbal, Some("said yes at 04:01")), Ok(()));
    assert_eq!(check(ConsentMethod::Verbal, Some(" ")), Err(ConsentRefusal::EvidenceRequired));
    assert_eq!(check(ConsentMethod::Verbal, None), Err(ConsentRefusal::EvidenceRequired));
    assert_eq!(check(ConsentMethod::InApp, Some("x")), Err(ConsentRefusal::EvidenceRequired));
}

#[test]
fn the_last_word_of_a_purpose_holds() {
    let given = consent(1, ConsentPurpose::Research, ConsentDecision::Given);
    let withdrawn = consent(2, ConsentPurpose::Research, ConsentDecision::Withdrawn);
    let other = consent(3, ConsentPurpose::Recording, ConsentDecision::Given);
    let all = [given, withdrawn.clone(), other];
    assert_eq!(standing(&all, ConsentPurpose::Research), Some(&withdrawn));
    assert_eq!(standing(&all, ConsentPurpose::Marketing), None);
}

#[test]
fn a_minor_is_seen_with_an_adult_only() {
    let guardian = Guardian {
        name: "Ravi Rao".into(),
        relation: Kinship::Father,
        id_type: IdType::Pan,
        id_last_four: "12A4".into(),
    };
    let aged = |born: &str| {
        let mut visit = visit();
        let person = Person { date_of_birth: Some(born.parse().unwrap()), ..visit.person.expose().clone() };
        visit.person = Sensitive::new(person);
        visit
    };
    fn admitted(visit: &Visit, guardian: Option<&Guardian>) -> Result<(), AdmissionRefusal> {
        admit(&rules(), &zone(), visit, &[], guardian)
    }
    let (minor, adult) = (aged("2008-12-01"), aged("2008-11-30"));
    assert_eq!(admitted(&minor, None), Err(AdmissionRefusal::GuardianRequired));
    assert_eq!(admitted(&minor, Some(&guardian)), Ok(()));
    assert_eq!(admitted(&adult, None), Ok(()));
    for incomplete in [
        Guardian { name: " ".into(), ..guardian.clone() },
        Guardian { id_last_four: "123".into(), ..guardian.clone() },
        Guardian { id_last_four: "12345678".into(), ..guardian.clone() },
    ] {
        assert_eq!(admitted(&minor, Some(&incomplete)), Err(AdmissionRefusal::GuardianRequired), "{incomplete:?}");
    }
}

#[test]
fn a_visit_whose_consent_is_withdrawn_does_not_begin() {
    let given = consent(1, ConsentPurpose::Teleconsultation, ConsentDecision::Given);
    let withdrawn = consent(2, ConsentPurpose::Teleconsultation, ConsentDecision::Withdrawn);
    let again = consent(3, ConsentPurpose::Teleconsultation, ConsentDecision::Given);
    let admitted = |consents: &[Consent]| admit(&rules(), &zone(), &visit(), consents, None);
    assert_eq!(admitted(std::slice::from_ref(&given)), Ok(()));
    assert_eq!(admitted(&[given.clone(), withdrawn.clone()]), Err(AdmissionRefusal::ConsentWithdrawn));
    assert_eq!(admitted(&[given, withdrawn, again]), Ok(()));
}
