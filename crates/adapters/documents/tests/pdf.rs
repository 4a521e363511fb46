//! The document as others read it: `pdftotext` (poppler-utils), and a QR code of the same text.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use amrutam_clinical::{
    model::{
        AushadhaKala, AyurvedicFindings, Decision, Diagnosis, DocumentState, Finding, Form, Measure, Mode, Person,
        PrescribedItem, Prescription, PrescriptionContent, PrescriptionStatus, Rule, Sex, Signatory, SignedFacts,
        StoredCourse, Subject, System, Unit, VisitKind,
    },
    ports::PrescriptionRenderer,
};
use amrutam_documents::PdfRenderer;
use amrutam_kernel::{AccountId, ConsultationId, DoctorId, PrescriptionId, Sensitive};
use jiff::tz::TimeZone;
use std::{
    io::Write,
    process::{Command, Stdio},
};
use uuid::Uuid;

fn renderer() -> PdfRenderer {
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    PdfRenderer::new("https://amrutam.example/v1/prescriptions/verify/", zone).unwrap()
}

fn item(name: &str) -> PrescribedItem {
    let measure = |amount: &str, unit| Measure { amount: amount.parse().unwrap(), unit };
    PrescribedItem {
        code: None,
        name: name.to_owned(),
        form: Form::Churna,
        strength: "AFI Part I".into(),
        course: StoredCourse {
            dose: measure("3", Unit::Gram),
            times_per_day: 2,
            days: 14,
            quantity: measure("84", Unit::Gram),
        },
        kala: AushadhaKala::Pragbhakta,
        anupana: "गुनगुना पानी".into(),
        pathya: "milk and rice".into(),
        apathya: "sour food".into(),
        instructions: "stir well".into(),
        acknowledged: vec![],
    }
}

fn signed(items: Vec<PrescribedItem>) -> (Prescription, SignedFacts) {
    let content = PrescriptionContent {
        practice_address: "12 MG Road, Kochi".into(),
        practice_contact: "+91 484 000 0000".into(),
        patient_address: "7 Beach Road, Kochi".into(),
        weight_kg: Some("61.5".parse().unwrap()),
        complaint: "burning after meals".into(),
        history: "for two months".into(),
        findings: "tongue coated".into(),
        findings_limits: "abdomen not palpated".into(),
        investigations: "none needed".into(),
        diagnoses: vec![Diagnosis {
            text: "Amlapitta अम्लपित्त".into(),
            provisional: true,
            namaste_code: Some("AAB-1".into()),
            icd11_tm2_code: None,
        }],
        ayurveda: AyurvedicFindings {
            prakriti: "pitta-kapha".into(),
            vikriti: "pitta".into(),
            agni: "viṣama".into(),
            koshtha: "mṛdu".into(),
            nidana: "katu and amla rasa".into(),
        },
        items,
        advice: "regular meals".into(),
        follow_up_on: Some("2026-12-14".parse().unwrap()),
        referral: "to a gastroenterologist if it persists".into(),
        ..PrescriptionContent::default()
    };
    let caution = Finding { rule: Rule::E1Caution, reason: String::new(), source: String::new(), unavailable: false };
    let facts = SignedFacts {
        signed_at: "2026-11-30T04:20:00Z".parse().unwrap(),
        signatory: Signatory {
            name: "Vaidya Meera Nair".into(),
            qualifications: vec!["BAMS".into(), "MD (Ayurveda)".into()],
            council: "NCISM".into(),
            registration: "KL-4711".into(),
            system: System::Ayurveda,
        },
        person: Person { name: "Asha Rao आशा राव".into(), date_of_birth: None, sex: Some(Sex::Female) },
        age_years: 36,
        visit_started_at: "2026-11-30T04:00:00Z".parse().unwrap(),
        mode: Mode::Video,
        kind: VisitKind::FirstVisit,
        ruleset: "prescribing-1".into(),
        formulary: "ayurveda-1".into(),
        decisions: vec![Decision::AllowWithCaution { cautions: vec![caution] }],
        verify_code: "0123456789ABCDEFGHJKMNPQRS".into(),
        content_sha256: "0".repeat(64),
        jws: "e30.e30.".to_owned() + &"x".repeat(512),
    };
    let prescription = Prescription {
        id: PrescriptionId::from_uuid(Uuid::from_u128(7)),
        consultation: ConsultationId::from_uuid(Uuid::from_u128(8)),
        subject: Subject::Account(AccountId::from_uuid(Uuid::from_u128(9))),
        doctor: DoctorId::from_uuid(Uuid::from_u128(10)),
        number: 1,
        status: PrescriptionStatus::Signed,
        content: Sensitive::new(content),
        signed: None,
        code_digest: None,
        revoked: None,
        document: DocumentState::Awaited { failures: 0 },
        updated_at: facts.signed_at,
        version: 2,
    };
    (prescription, facts)
}

/// As poppler reads it; without it there is no test, and that is said loudly.
fn text_of(pdf: &[u8]) -> String {
    let command =
        Command::new("pdftotext").args(["-layout", "-", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut reader = command.unwrap_or_else(|error| panic!("pdftotext (Debian: poppler-utils) is needed: {error}"));
    reader.stdin.take().unwrap().write_all(pdf).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_that_a_prescription_carries_can_be_read() {
    let (prescription, facts) = signed(vec![item("Triphalā Cūrṇa त्रिफला चूर्ण")]);
    let text = text_of(&renderer().render(&prescription, &facts).unwrap());
    for wanted in [
        "Vaidya Meera Nair",
        "BAMS, MD (Ayurveda)",
        "NCISM KL-4711",
        "12 MG Road, Kochi",
        "+91 484 000 0000",
        "Asha Rao आशा राव",
        "36 years, female",
        "7 Beach Road, Kochi",
        "61.5 kg",
        "30 November 2026, 09:30 (Asia/Kolkata)",
        "video, first visit",
        "00000000-0000-0000-0000-000000000008",
        "00000000-0000-0000-0000-000000000007, version 1",
        "Issued on teleconsultation",
        "burning after meals",
        "for two months",
        "tongue coated",
        "abdomen not palpated",
        "none needed",
        "pitta-kapha",
        "viṣama",
        "mṛdu",
        "katu and amla rasa",
        "Amlapitta अम्लपित्त [NAMASTE AAB-1] (provisional)",
        "Triphalā Cūrṇa त्रिफला चूर्ण (churna), AFI Part I",
        "3 g, 2 times a day, for 14 days; quantity: 84 g",
        "before food (prāgbhakta)",
        "गुनगुना पानी",
        "milk and rice",
        "sour food",
        "stir well",
        "Caution: to be taken under medical supervision.",
        "regular meals",
        "14 December 2026",
        "to a gastroenterologist",
        "30 November 2026, 09:50 (Asia/Kolkata)",
        "0123456789ABCDEFGHJKMNPQRS",
        "Prescription / चिकित्सा पत्र",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in:\n{text}");
    }
}

#[test]
fn the_same_prescription_gives_the_same_bytes_and_another_does_not() {
    let (prescription, facts) = signed(vec![item("Triphalā Cūrṇa")]);
    let first = renderer().render(&prescription, &facts).unwrap();
    assert_eq!(first, renderer().render(&prescription, &facts).unwrap());
    let (other, facts) = signed(vec![item("Trikaṭu Cūrṇa")]);
    assert_ne!(first, renderer().render(&other, &facts).unwrap());
    assert!(first.len() < 200_000, "{} bytes: fonts are embedded as subsets", first.len());
}

#[test]
fn a_long_one_has_several_pages() {
    let (prescription, facts) = signed((0..20).map(|n| item(&format!("Medicine number {n}"))).collect());
    let text = text_of(&renderer().render(&prescription, &facts).unwrap());
    assert!(text.contains("Medicine number 19") && text.contains("4/4"), "{text}");
}

#[test]
fn what_no_font_has_is_refused() {
    let (mut prescription, facts) = signed(vec![item("Triphalā Cūrṇa")]);
    let content = PrescriptionContent { advice: "മതി".into(), ..prescription.content.expose().clone() };
    prescription.content = Sensitive::new(content);
    let error = renderer().render(&prescription, &facts).unwrap_err();
    assert_eq!(error.to_string(), "the document can't be made: no font has U+0D2E");
}

/// The caution of a poison comes from the rules that asked for it; without them there is no document.
#[test]
fn a_caution_that_is_not_known_is_no_empty_line() {
    let (prescription, facts) = signed(vec![item("Triphalā Cūrṇa")]);
    let facts = SignedFacts { ruleset: "prescribing-0".into(), ..facts };
    let error = renderer().render(&prescription, &facts).unwrap_err();
    assert!(error.to_string().contains("prescribing-0"), "{error}");
}
