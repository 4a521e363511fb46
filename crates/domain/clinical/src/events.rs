//! What this domain announces. Schemas: `docs/events/`. Payloads carry ids and codes.

use crate::model::{BreakGlassReason, Prescription};
use amrutam_kernel::{AccountId, AggregateRef, Context, EventEnvelope, EventId};
use jiff::Timestamp;

/// A prescription is signed: its document is to be made.
pub const SIGNED: &str = "prescription.signed.v1";
/// Another version is in force.
pub const SUPERSEDED: &str = "prescription.superseded.v1";
/// Its practitioner has taken it back.
pub const REVOKED: &str = "prescription.revoked.v1";
/// Its document can be had.
pub const ISSUED: &str = "prescription.issued.v1";
/// Its document could not be made: a person must look.
pub const REVIEW_NEEDED: &str = "prescription.review_needed.v1";
/// What somebody chooses for the document to be made once more.
pub const TRY_AGAIN: &str = "try_again";
/// A record was opened in an emergency by somebody who does not treat the patient.
pub const RECORD_OPENED: &str = "record.break_glass.v1";

/// What the worker's consumer of these is called in queues and inbox.
pub const CONSUMER: &str = "documents";

pub(crate) fn prescription_event(
    event_type: &'static str,
    id: EventId,
    prescription: &Prescription,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: event_type.to_owned(),
        aggregate: AggregateRef {
            kind: "prescription".to_owned(),
            id: prescription.id.as_uuid(),
            version: prescription.version,
        },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({
            "prescription_id": prescription.id,
            "consultation_id": prescription.consultation,
            "patient_id": prescription.subject.keeper(),
            "doctor_id": prescription.doctor,
            "number": prescription.number,
            "status": prescription.status,
        }),
    }
}

/// A case for a person, who may have it tried again once what was wrong is mended.
pub(crate) fn review_needed(
    id: EventId,
    prescription: &Prescription,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    let payload = serde_json::json!({
        "reason": "document_failed",
        "choices": [{ "choice": TRY_AGAIN, "amount": null }, { "choice": "leave_without_document", "amount": null }],
        "consultation_id": prescription.consultation,
        "patient_id": prescription.subject.keeper(),
        "tried": ["render"],
    });
    EventEnvelope { payload, ..prescription_event(REVIEW_NEEDED, id, prescription, context, now) }
}

pub(crate) fn record_opened(
    id: EventId,
    patient: AccountId,
    reason: BreakGlassReason,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: RECORD_OPENED.to_owned(),
        // Each opening is a thing of its own.
        aggregate: AggregateRef { kind: "record_opening".to_owned(), id: id.as_uuid(), version: 1 },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({ "account_id": patient, "reason": reason }),
    }
}
