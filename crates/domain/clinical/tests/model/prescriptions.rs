//! A prescription's states, and what it must carry.

use super::*;
use amrutam_clinical::model::{
    AushadhaKala, AyurvedicFindings, Change, DocumentState, InvalidChange, PrescribedItem, Prescription,
    PrescriptionContent, PrescriptionStatus, RevokeReason, Signatory, SignedFacts, StoredCourse, VerifyCode,
    missing_fields,
};
use amrutam_kernel::PrescriptionId;
use serde_json::{Value, json};

pub(crate) fn complete() -> PrescriptionContent {
    PrescriptionContent {
        items: vec![PrescribedItem {
            code: Some("AYU-CHU-005".to_owned().try_into().unwrap()),
            name: "Avipattikara Cūrṇa".into(),
            form: Form::Churna,
            strength: "AFI Part I".into(),
            course: StoredCourse {
                dose: measure("3", Unit::Gram),
                times_per_day: 2,
                days: 14,
                quantity: measure("84", Unit::Gram),
            },
            kala: AushadhaKala::Pragbhakta,
            anupana: "warm water".into(),
            pathya: "milk".into(),
            apathya: "sour and fried food".into(),
            instructions: "before food".into(),
            acknowledged: vec![],
        }],
        ..examined()
    }
}

fn draft() -> Prescription {
    Prescription {
        id: PrescriptionId::from_uuid(Uuid::from_u128(9)),
        consultation: visit().id,
        subject: visit().subject,
        doctor: visit().practitioner.id,
        number: 1,
        status: PrescriptionStatus::Draft,
        content: Sensitive::new(complete()),
        signed: None,
        code_digest: None,
        revoked: None,
        document: DocumentState::Awaited { failures: 0 },
        updated_at: at("2026-11-30T04:00:00Z"),
        version: 1,
    }
}

fn facts() -> SignedFacts {
    SignedFacts {
        signed_at: at("2026-11-30T04:20:00Z"),
        signatory: Signatory {
            name: "Vaidya Meera Nair".into(),
            qualifications: vec!["BAMS".into()],
            council: "NCISM".into(),
            registration: "KL-1".into(),
            system: System::Ayurveda,
        },
        person: visit().person.expose().clone(),
        age_years: 36,
        visit_started_at: at("2026-11-30T04:00:00Z"),
        mode: Mode::Video,
        kind: VisitKind::FirstVisit,
        ruleset: "prescribing-1".into(),
        formulary: "ayurveda-1".into(),
        decisions: vec![],
        verify_code: VerifyCode::from_random([7; 26]).as_str().to_owned(),
        content_sha256: "0".repeat(64),
        jws: "a.b.c".into(),
    }
}

#[test]
fn the_state_machine_has_its_arrows_and_no_others() {
    let now = at("2026-11-30T05:00:00Z");
    let made = |status| Prescription { status, ..draft() };
    for from in PrescriptionStatus::ALL {
        for (change, to) in [
            (Change::Sign(Box::new(facts())), PrescriptionStatus::Signed),
            (Change::Supersede, PrescriptionStatus::Superseded),
            (Change::Revoke(RevokeReason::MedicationError), PrescriptionStatus::Revoked),
        ] {
            let result = made(from).change(change, now);
            let allowed = [
                (PrescriptionStatus::Draft, PrescriptionStatus::Signed),
                (PrescriptionStatus::Signed, PrescriptionStatus::Superseded),
                (PrescriptionStatus::Signed, PrescriptionStatus::Revoked),
            ];
            match result {
                Ok(next) => {
                    assert!(allowed.contains(&(from, to)), "{from} -> {to}");
                    assert_eq!((next.status, next.version, next.updated_at), (to, 2, now));
                }
                Err(refused) => {
                    assert!(!allowed.contains(&(from, to)), "{from} -> {to}");
                    assert_eq!(refused, InvalidChange { from, to });
                }
            }
        }
        let rewritten = made(from).rewritten(complete(), now);
        assert_eq!(rewritten.is_ok(), from == PrescriptionStatus::Draft, "only a draft is written to: {from}");
        assert_eq!(from.as_str().parse(), Ok(from));
    }
}

#[test]
fn signing_fixes_the_facts_and_the_code_under_which_it_is_found() {
    let signed = draft().change(Change::Sign(Box::new(facts())), at("2026-11-30T04:20:00Z")).unwrap();
    let code: VerifyCode = facts().verify_code.parse().unwrap();
    assert_eq!(signed.code_digest, Some(code.digest()));
    assert_eq!(signed.signed.unwrap().expose(), &facts());
    assert!(VerifyCode::from_random([255; 26]).as_str().parse::<VerifyCode>().is_ok());
    for bad in ["", "7777777777777777777777777", "777777777777777777777777777", "7777777777777777777777777O", "७"] {
        assert!(bad.parse::<VerifyCode>().is_err(), "{bad}");
    }
    assert_eq!(format!("{code:?}"), "VerifyCode(..)");
}

#[test]
fn nothing_is_missing_of_a_complete_one() {
    assert_eq!(missing_fields(&complete(), &visit(), &zone()), []);
}

/// Each field by itself, emptied: its pointer, and no other, is named.
#[test]
fn each_field_that_is_missing_is_named_and_no_other() {
    let texts = [
        "/practice_address",
        "/practice_contact",
        "/patient_address",
        "/complaint",
        "/history",
        "/findings",
        "/findings_limits",
        "/investigations",
        "/advice",
        "/ayurveda/prakriti",
        "/ayurveda/vikriti",
        "/ayurveda/agni",
        "/ayurveda/koshtha",
        "/ayurveda/nidana",
        "/items/0/name",
        "/items/0/strength",
        "/items/0/instructions",
        "/items/0/anupana",
        "/items/0/pathya",
        "/items/0/apathya",
    ];
    let others = [
        ("/diagnoses", json!([])),
        ("/items", json!([])),
        ("/follow_up_on", Value::Null),
        ("/items/0/times_per_day", json!(0)),
        ("/items/0/days", json!(0)),
    ];
    let emptied = texts.iter().map(|text| (*text, json!(" "))).chain(others);
    for (pointer, nothing) in emptied {
        let mut content = serde_json::to_value(complete()).unwrap();
        *content.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = nothing;
        let content: PrescriptionContent = serde_json::from_value(content).unwrap();
        let missing: Vec<_> = missing_fields(&content, &visit(), &zone()).into_iter().map(|one| one.field).collect();
        assert_eq!(missing, [pointer]);
    }
    let referred = PrescriptionContent { follow_up_on: None, referral: "to a surgeon".into(), ..complete() };
    assert_eq!(missing_fields(&referred, &visit(), &zone()), []);
}

#[test]
fn what_is_missing_of_the_people_is_named() {
    let mut nobody = visit();
    nobody.person = Sensitive::new(Person { name: String::new(), date_of_birth: None, sex: None });
    nobody.practitioner.name.clear();
    nobody.practitioner.qualifications.clear();
    nobody.practitioner.council.clear();
    nobody.practitioner.registration.clear();
    let missing: Vec<_> = missing_fields(&complete(), &nobody, &zone()).into_iter().map(|one| one.field).collect();
    assert_eq!(
        missing,
        [
            "/practitioner/name",
            "/practitioner/qualifications",
            "/practitioner/council",
            "/practitioner/registration_number",
            "/patient/name",
            "/patient/date_of_birth",
            "/patient/sex",
        ]
    );
}

#[test]
fn other_systems_need_no_ayurvedic_fields() {
    let mut unani = visit();
    unani.practitioner.system = System::Unani;
    let mut content = complete();
    content.ayurveda = AyurvedicFindings::default();
    content.items[0].anupana.clear();
    assert_eq!(missing_fields(&content, &unani, &zone()), []);
}
