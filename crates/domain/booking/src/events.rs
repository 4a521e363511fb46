//! What this domain announces. Schemas: `docs/events/`. Payloads carry ids, codes and times.

use crate::model::Consultation;
use amrutam_kernel::{AggregateRef, Context, EventEnvelope, EventId};
use jiff::Timestamp;

/// A slot is held and waits to be paid.
pub const REQUESTED: &str = "consultation.requested.v1";
/// The visit will take place.
pub const CONFIRMED: &str = "consultation.confirmed.v1";
/// The visit moved to another slot.
pub const RESCHEDULED: &str = "consultation.rescheduled.v1";
/// The visit was called off.
pub const CANCELLED: &str = "consultation.cancelled.v1";
/// The hold ran out.
pub const EXPIRED: &str = "consultation.expired.v1";
/// The visit has begun.
pub const STARTED: &str = "consultation.started.v1";
/// The visit has taken place.
pub const COMPLETED: &str = "consultation.completed.v1";
/// One side did not come.
pub const NO_SHOW: &str = "consultation.no_show.v1";

pub(crate) fn consultation_event(
    event_type: &'static str,
    id: EventId,
    consultation: &Consultation,
    cause: &str,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: event_type.to_owned(),
        aggregate: AggregateRef {
            kind: "consultation".to_owned(),
            id: consultation.id.as_uuid(),
            version: consultation.version,
        },
        occurred_at: now,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload: serde_json::json!({
            "consultation_id": consultation.id,
            "patient_id": consultation.patient,
            "doctor_id": consultation.doctor,
            "slot_id": consultation.slot,
            "starts_at": consultation.range.start(),
            "ends_at": consultation.range.end(),
            "mode": consultation.mode,
            "status": consultation.status,
            "cause": cause,
        }),
    }
}
