//! Notes, prescriptions and records, as shown.

use super::{
    clinical_dtos::{NoteDto, PrescriptionDto, SignatureView},
    shared::Time,
};
use amrutam_clinical::{
    model::{DocumentState, Note, Prescription},
    ports::RecordEntry,
    use_cases::SeenPrescription,
};
use amrutam_kernel::{ConsultationId, DoctorId, PrescriptionId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Something added after the visit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Addendum, example = json!({"at": "2026-11-30T09:00:00.000000Z", "text": "Better by evening"}))]
pub(crate) struct AddendumView {
    at: Time,
    text: String,
}

/// The notes of a visit, in their last version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Note, example = json!({
    "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "content": {"subjective": "Burning after meals"}, "addenda": [],
    "written_at": "2026-11-30T04:10:00.000000Z", "version": 3
}))]
pub(crate) struct NoteView {
    #[schema(value_type = Uuid)]
    consultation_id: ConsultationId,
    #[schema(value_type = NoteDto)]
    content: Value,
    addenda: Vec<AddendumView>,
    written_at: Time,
    /// Also the `ETag`.
    version: i64,
}

/// Our own types have text keys and finite numbers, so they can always be written.
pub(super) fn value(content: &impl Serialize) -> Value {
    serde_json::to_value(content).unwrap_or_default()
}

impl From<&Note> for NoteView {
    fn from(note: &Note) -> Self {
        let addenda = note.addenda.expose().iter();
        Self {
            consultation_id: note.consultation,
            content: value(note.content.expose()),
            addenda: addenda.map(|one| AddendumView { at: Time(one.at), text: one.text.clone() }).collect(),
            written_at: Time(note.written_at),
            version: note.version,
        }
    }
}

/// One version of a visit's prescription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prescription, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e50", "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "number": 1,
    "status": "draft", "content": {"complaint": "Burning after meals"}, "signature": null, "revoked_at": null, "revoke_reason": null,
    "document": "awaited", "version": 1
}))]
pub(crate) struct PrescriptionView {
    #[schema(value_type = Uuid)]
    id: PrescriptionId,
    #[schema(value_type = Uuid)]
    consultation_id: ConsultationId,
    /// Counts the visit's versions from 1.
    number: u32,
    /// `draft`, `signed`, `superseded`, `revoked`.
    status: &'static str,
    #[schema(value_type = PrescriptionDto)]
    content: Value,
    #[schema(required)]
    signature: Option<SignatureView>,
    #[schema(required)]
    revoked_at: Option<Time>,
    #[schema(required)]
    revoke_reason: Option<&'static str>,
    /// `awaited`, `issued`, `in_review`.
    document: &'static str,
    /// Also the `ETag`.
    version: i64,
}

impl From<&Prescription> for PrescriptionView {
    fn from(one: &Prescription) -> Self {
        Self {
            id: one.id,
            consultation_id: one.consultation,
            number: one.number,
            status: one.status.as_str(),
            content: value(one.content.expose()),
            signature: one.signed.as_ref().map(|facts| facts.expose().into()),
            revoked_at: one.revoked.map(|(_, at)| Time(at)),
            revoke_reason: one.revoked.map(|(reason, _)| reason.as_str()),
            document: match one.document {
                DocumentState::Awaited { .. } => "awaited",
                DocumentState::Issued { .. } => "issued",
                DocumentState::InReview => "in_review",
            },
            version: one.version,
        }
    }
}

/// A visit's prescription as the caller sees it: the draft is its author's alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeenPrescription, example = json!({"draft": null, "signed": null}))]
pub(crate) struct SeenPrescriptionView {
    #[schema(required)]
    draft: Option<PrescriptionView>,
    /// The last version that was signed.
    #[schema(required)]
    signed: Option<PrescriptionView>,
}

impl From<&SeenPrescription> for SeenPrescriptionView {
    fn from(seen: &SeenPrescription) -> Self {
        Self { draft: seen.draft.as_ref().map(Into::into), signed: seen.signed.as_ref().map(Into::into) }
    }
}

/// One visit in a patient's record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordEntry, example = json!({
    "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "starts_at": "2026-11-30T04:00:00.000000Z",
    "doctor_id": "019aaf00-0000-7000-8000-000000000001", "doctor_name": "Vaidya Meera Nair", "doctor_council": "NCISM",
    "doctor_registration_number": "KL-4711", "note": null, "summary": null, "prescriptions": [], "withheld": false
}))]
pub(crate) struct RecordEntryView {
    #[schema(value_type = Uuid)]
    consultation_id: ConsultationId,
    starts_at: Time,
    #[schema(value_type = Uuid)]
    doctor_id: DoctorId,
    doctor_name: String,
    doctor_council: String,
    doctor_registration_number: String,
    #[schema(required)]
    note: Option<NoteView>,
    /// What the doctor wrote when completing it.
    #[schema(required)]
    summary: Option<String>,
    /// Every version that was signed.
    prescriptions: Vec<PrescriptionView>,
    /// Another doctor's, and the patient has not agreed to share it: what was written is left out. The patient can be asked.
    withheld: bool,
}

impl From<&RecordEntry> for RecordEntryView {
    fn from(entry: &RecordEntry) -> Self {
        let (council, registration) = entry.doctor_registration.clone();
        Self {
            consultation_id: entry.consultation,
            starts_at: Time(entry.starts_at),
            doctor_id: entry.doctor,
            doctor_name: entry.doctor_name.clone(),
            doctor_council: council,
            doctor_registration_number: registration,
            note: entry.note.as_ref().map(Into::into),
            summary: entry.summary.as_ref().map(|summary| summary.expose().clone()),
            prescriptions: entry.prescriptions.iter().map(Into::into).collect(),
            withheld: entry.withheld,
        }
    }
}
