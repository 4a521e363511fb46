//! What this domain announces. Schemas: `docs/events/`. Payloads carry ids, codes and times.

use crate::model::{Consultation, ConsultationStatus, PaymentsMode};
use amrutam_kernel::{Actor, AggregateRef, Context, EventEnvelope, EventId, Role};
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
/// A visit under way goes on in another mode.
pub const MODE_CHANGED: &str = "consultation.mode_changed.v1";
/// One side did not come.
pub const NO_SHOW: &str = "consultation.no_show.v1";

/// Money came, but the slot could not be had any more: whoever took the money gives it back.
pub const UNCONFIRMABLE: &str = "consultation.unconfirmable.v1";

/// What an event tells besides the consultation itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) event_type: &'static str,
    /// The status before.
    pub(crate) from: Option<ConsultationStatus>,
    pub(crate) cause: &'a str,
    pub(crate) payments: PaymentsMode,
}

pub(crate) fn consultation_event(
    id: EventId,
    consultation: &Consultation,
    told: Told<'_>,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    let Told { event_type, from, cause, payments } = told;
    let by = match context.actor {
        Actor::Account { role: Role::Patient, .. } => "patient",
        Actor::Account { role: Role::Doctor, .. } => "doctor",
        Actor::Account { .. } | Actor::System(_) | Actor::Anonymous => "system",
    };
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
            "dependant_id": consultation.dependant,
            "doctor_id": consultation.doctor,
            "slot_id": consultation.slot,
            "starts_at": consultation.range.start(),
            "ends_at": consultation.range.end(),
            "mode": consultation.mode,
            "status": consultation.status,
            "from": from,
            "cause": cause,
            "by": by,
            "fee": consultation.fee,
            "hold_expires_at": consultation.hold_expires_at,
            "least_notice_s": consultation.least_notice.map(|notice| notice.as_secs()),
            "payment_id": consultation.payment(payments),
        }),
    }
}
