//! What this domain announces: one event per step of a payment. Schemas: `docs/events/`. Payloads carry ids, codes, amounts and
//! times.

use crate::model::{Payment, PaymentEntry, ReviewReason, StepKind};
use amrutam_kernel::{AggregateRef, Context, EventEnvelope};

/// The payment exists.
pub const CREATED: &str = "payment.created.v1";
/// Its order is open: it can be paid.
pub const ORDER_OPENED: &str = "payment.order_opened.v1";
/// An attempt to pay came to nothing; another may be made.
pub const ATTEMPT_FAILED: &str = "payment.attempt_failed.v1";
/// It will not be paid any more: the slot can be given to others.
pub const FAILED: &str = "payment.failed.v1";
/// The visit ended before money came.
pub const CANCELLED: &str = "payment.cancelled.v1";
/// Money for the visit arrived: the visit can be confirmed.
pub const CAPTURED: &str = "payment.captured.v1";
/// Money arrived that pays nothing, and goes back.
pub const STRAY_CAPTURED: &str = "payment.stray_captured.v1";
/// The visit took place, or the policy gives nothing back.
pub const SETTLED: &str = "payment.settled.v1";
/// Money is to go back.
pub const REFUND_DECIDED: &str = "payment.refund_decided.v1";
/// Money went back.
pub const REFUNDED: &str = "payment.refunded.v1";
/// The gateway could not give it back.
pub const REFUND_FAILED: &str = "payment.refund_failed.v1";
/// A person is asked.
pub const REVIEW_NEEDED: &str = "payment.review_needed.v1";
/// A person has decided.
pub const RULED: &str = "payment.ruled.v1";

/// The event of a kind of step.
pub const fn event_type(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Created => CREATED,
        StepKind::OrderOpened => ORDER_OPENED,
        StepKind::AttemptFailed => ATTEMPT_FAILED,
        StepKind::Failed => FAILED,
        StepKind::Cancelled => CANCELLED,
        StepKind::Captured => CAPTURED,
        StepKind::StrayCaptured => STRAY_CAPTURED,
        StepKind::Settled => SETTLED,
        StepKind::RefundDecided => REFUND_DECIDED,
        StepKind::Refunded => REFUNDED,
        StepKind::RefundFailed => REFUND_FAILED,
        StepKind::ReviewNeeded => REVIEW_NEEDED,
        StepKind::Ruled => RULED,
    }
}

/// The event of one step.
pub fn payment_event(
    payment: &Payment,
    entry: &PaymentEntry,
    review: Option<ReviewReason>,
    context: &Context,
) -> EventEnvelope {
    let mut payload = serde_json::json!({
        "payment_id": payment.id,
        "consultation_id": payment.consultation,
        "patient_id": payment.patient,
        "doctor_id": payment.doctor,
        "gateway": payment.gateway,
        "status": payment.state,
        "price": payment.amount,
        "cause": entry.cause,
    });
    if let Some(object) = payload.as_object_mut() {
        if let Some(amount) = entry.amount {
            object.insert("amount".to_owned(), serde_json::json!(amount));
        }
        if let Some(reason) = review {
            object.insert("reason".to_owned(), serde_json::json!(reason));
            object.insert("choices".to_owned(), serde_json::json!(reason.choices()));
        }
    }
    EventEnvelope {
        id: entry.event,
        event_type: event_type(entry.kind).to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: payment.id.as_uuid(), version: entry.version },
        occurred_at: entry.at,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload,
    }
}
