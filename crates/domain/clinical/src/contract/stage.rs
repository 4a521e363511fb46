//! Values for the cases.

use super::{Harness, MadeVisit};
use crate::model::{
    Change, Diagnosis, DocumentState, Mode, Note, NoteContent, Person, Prescription, PrescriptionContent,
    PrescriptionStatus, Sex, Signatory, SignedFacts, Subject, System, VerifyCode, VisitKind,
};
use amrutam_kernel::{
    Actor, AggregateRef, AuditEntry, AuditEntryId, Context, CorrelationId, Effects, EventEnvelope, EventId, Outcome,
    PrescriptionId, Sensitive,
};
use jiff::Timestamp;
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// Never the same twice, in this process or another.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A UUIDv7 of `at`.
pub(super) fn id(at: Timestamp) -> Uuid {
    let [high, low] = [random().to_be_bytes(), random().to_be_bytes()];
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low[..2]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.as_millisecond()).unwrap(), &bytes).into_uuid()
}

pub(super) fn effects(harness: &dyn Harness, aggregate: Uuid) -> Effects {
    let now = harness.now();
    let context = Context {
        actor: Actor::System("tests"),
        sign_in: None,
        correlation_id: CorrelationId::from(id(now)),
        trace_parent: None,
        origin: None,
    };
    Effects {
        events: vec![EventEnvelope {
            id: EventId::from_uuid(id(now)),
            event_type: "prescription.signed.v1".to_owned(),
            aggregate: AggregateRef { kind: "prescription".to_owned(), id: aggregate, version: 1 },
            occurred_at: now,
            actor: "system:tests".to_owned(),
            correlation_id: context.correlation_id.clone(),
            trace_parent: None,
            payload: serde_json::json!({}),
        }],
        audit: vec![AuditEntry::new(
            AuditEntryId::from_uuid(id(now)),
            now,
            &context,
            "prescription.sign",
            "prescription",
            aggregate.to_string(),
            Outcome::Allowed,
        )],
        ..Effects::default()
    }
}

pub(super) fn diagnosed(text: &str) -> Vec<Diagnosis> {
    vec![Diagnosis { text: text.into(), provisional: true, namaste_code: None, icd11_tm2_code: None }]
}

pub(super) fn note(visit: &MadeVisit, version: i64, text: &str) -> Note {
    Note {
        consultation: visit.id,
        subject: Subject::Account(visit.patient),
        content: Sensitive::new(NoteContent {
            subjective: text.into(),
            diagnoses: diagnosed("Amlapitta"),
            ..NoteContent::default()
        }),
        addenda: Sensitive::new(Vec::new()),
        written_at: visit.starts_at,
        version,
    }
}

pub(super) fn draft(harness: &dyn Harness, visit: &MadeVisit, number: u32) -> Prescription {
    Prescription {
        id: PrescriptionId::from_uuid(id(harness.now())),
        consultation: visit.id,
        subject: Subject::Account(visit.patient),
        doctor: visit.doctor,
        number,
        status: PrescriptionStatus::Draft,
        content: Sensitive::new(PrescriptionContent {
            complaint: "जलन after meals".into(),
            diagnoses: diagnosed("Sandhivata"),
            ..PrescriptionContent::default()
        }),
        signed: None,
        code_digest: None,
        revoked: None,
        document: DocumentState::Awaited { failures: 0 },
        updated_at: harness.now(),
        version: 1,
    }
}

pub(super) fn signed(harness: &dyn Harness, draft: &Prescription) -> Prescription {
    let mut bytes = [0; 26];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..16].copy_from_slice(&random().to_be_bytes());
    let facts = SignedFacts {
        signed_at: harness.now(),
        signatory: Signatory {
            name: "Vaidya".into(),
            qualifications: vec!["BAMS".into()],
            council: "NCISM".into(),
            registration: "1".into(),
            system: System::Ayurveda,
        },
        person: Person { name: "Asha".into(), date_of_birth: None, sex: Some(Sex::Female) },
        age_years: 36,
        visit_started_at: harness.now(),
        mode: Mode::Video,
        kind: VisitKind::FirstVisit,
        ruleset: "prescribing-1".into(),
        formulary: "ayurveda-1".into(),
        decisions: vec![],
        verify_code: VerifyCode::from_random(bytes).as_str().to_owned(),
        content_sha256: "0".repeat(64),
        jws: "a.b.c".into(),
    };
    draft.change(Change::Sign(Box::new(facts)), harness.now()).unwrap()
}
