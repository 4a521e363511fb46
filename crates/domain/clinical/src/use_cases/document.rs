//! The saga's step: a signed prescription becomes a document.

use crate::{
    events::{self, CONSUMER},
    model::{DocumentState, Prescription, PrescriptionStatus},
    ports::{ClinicalChanges, ClinicalStore, Document, PrescriptionRenderer, RenderError},
};
use amrutam_kernel::{
    AuditEntry, AuditEntryId, Clock, CommitError, Context, Effects, EventEnvelope, EventId, Handled, HandlerError,
    IdSource, InboxMark, Outcome, PrescriptionId, Sensitive,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// After so many tries that failed, a person must look.
pub const MAX_FAILURES: u32 = 3;
/// The system's part that issues.
const ISSUER: &str = "document-issuer";

/// What issuing works with.
#[derive(Clone, Copy)]
pub struct IssuerDeps<'a> {
    /// The record.
    pub store: &'a dyn ClinicalStore,
    /// Makes the document.
    pub renderer: &'a dyn PrescriptionRenderer,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// Handles `prescription.signed.v1`, `consultation.completed.v1` for what was signed and is not issued yet, and `review.resolved.v1`
/// where somebody chose to try again: makes the document, keeps its exact bytes, and announces it. Making fails deterministically, so it is tried [`MAX_FAILURES`] times and then given to a
/// person; each try is stored, and the broker brings the event again.
pub async fn issue_document(deps: IssuerDeps<'_>, event: &EventEnvelope) -> Result<Handled, HandlerError> {
    let wanted = match event.event_type.as_str() {
        events::SIGNED => {
            let id = id_in(event, "prescription_id")?;
            deps.store.prescription(PrescriptionId::from_uuid(id)).await?.undisclosed()
        }
        "consultation.completed.v1" => {
            let id = id_in(event, "consultation_id")?;
            let all = deps.store.prescriptions(amrutam_kernel::ConsultationId::from_uuid(id)).await?;
            all.undisclosed().into_iter().find(|one| one.status == PrescriptionStatus::Signed)
        }
        "review.resolved.v1" if event.payload.get("kind").is_some_and(|kind| kind == "prescription") => {
            if event.payload.get("choice").is_none_or(|choice| choice != events::TRY_AGAIN) {
                return Ok(Handled::Ignored);
            }
            let subject = event.payload.pointer("/subject/id");
            deps.store.prescription(PrescriptionId::from_uuid(id_at(subject, "subject")?)).await?.undisclosed()
        }
        _ => return Ok(Handled::Ignored),
    };
    let Some(prescription) = wanted else { return Ok(Handled::Ignored) };
    let Some(facts) = &prescription.signed else { return Ok(Handled::Ignored) };
    let failures = match prescription.document {
        DocumentState::Awaited { failures } => failures,
        DocumentState::InReview if event.event_type == "review.resolved.v1" => 0,
        DocumentState::InReview | DocumentState::Issued { .. } => return Ok(Handled::Ignored),
    };
    let now = deps.clock.now();
    match deps.renderer.render(&prescription, facts.expose()) {
        Ok(bytes) => {
            let sha256 = Sha256::digest(&bytes).into();
            let issued = advanced(&prescription, DocumentState::Issued { sha256, at: now }, now);
            let document = Document {
                prescription: prescription.id,
                consultation: prescription.consultation,
                subject: prescription.subject,
                bytes: Sensitive::new(bytes),
            };
            commit(deps, event, &issued, Some(document), Some(events::ISSUED), true, now).await
        }
        Err(error) if failures + 1 >= MAX_FAILURES => {
            let given = advanced(&prescription, DocumentState::InReview, now);
            let RenderError(_) = error;
            commit(deps, event, &given, None, Some(events::REVIEW_NEEDED), true, now).await
        }
        Err(error) => {
            let counted = advanced(&prescription, DocumentState::Awaited { failures: failures + 1 }, now);
            commit(deps, event, &counted, None, None, false, now).await?;
            Err(HandlerError::Retry(error.to_string()))
        }
    }
}

fn id_in(event: &EventEnvelope, field: &str) -> Result<uuid::Uuid, HandlerError> {
    id_at(event.payload.get(field), field)
}

fn id_at(value: Option<&serde_json::Value>, field: &str) -> Result<uuid::Uuid, HandlerError> {
    let text = value.and_then(serde_json::Value::as_str);
    text.and_then(|text| uuid::Uuid::try_parse(text).ok())
        .ok_or_else(|| HandlerError::Permanent(format!("{field} is no id")))
}

fn advanced(prescription: &Prescription, document: DocumentState, now: Timestamp) -> Prescription {
    Prescription { document, updated_at: now, version: prescription.version + 1, ..prescription.clone() }
}

async fn commit(
    deps: IssuerDeps<'_>,
    cause: &EventEnvelope,
    next: &Prescription,
    document: Option<Document>,
    announced: Option<&'static str>,
    handled: bool,
    now: Timestamp,
) -> Result<Handled, HandlerError> {
    let context = Context::following(ISSUER, cause);
    let event_id = || EventId::from_uuid(deps.ids.uuid_v7(now));
    let events = announced.map(|event_type| match event_type {
        events::REVIEW_NEEDED => events::review_needed(event_id(), next, &context, now),
        event_type => events::prescription_event(event_type, event_id(), next, &context, now),
    });
    let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(now));
    let name = announced.unwrap_or("prescription.issue");
    let name = name.trim_end_matches(".v1");
    let entry = AuditEntry::new(id, now, &context, name, "prescription", next.id.to_string(), Outcome::Allowed);
    let effects = Effects {
        events: events.into_iter().collect(),
        audit: vec![entry.about(next.subject.keeper())],
        inbox: handled.then_some(InboxMark { consumer: CONSUMER, event: cause.id }),
        ..Effects::default()
    };
    let prescriptions = vec![next.clone()];
    let changes = ClinicalChanges { prescriptions, document, effects, ..ClinicalChanges::default() };
    match deps.store.commit(&changes).await {
        Ok(()) => Ok(Handled::Applied),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(CommitError::Port(error)) => Err(error.into()),
        // Another worker, or the practitioner, was faster: look again.
        Err(error) => Err(HandlerError::Retry(error.to_string())),
    }
}
