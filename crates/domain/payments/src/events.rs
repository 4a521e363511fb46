//! What this domain announces: one event per step of a payment. Schemas: `docs/events/`. Payloads carry ids, codes, amounts and
//! times.

use crate::model::{Choice, Payment, PaymentEntry, ReviewReason, Step, StepKind};
use amrutam_kernel::{Actor, AggregateRef, Context, EventEnvelope, EventId, Money};
use jiff::Timestamp;

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
/// What a person was asked needs no answer any more.
pub const REVIEW_WITHDRAWN: &str = "payment.review_withdrawn.v1";
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
        StepKind::ReviewWithdrawn => REVIEW_WITHDRAWN,
        StepKind::Ruled => RULED,
    }
}

/// The event of one step.
pub(crate) fn payment_event(payment: &Payment, entry: &PaymentEntry, step: &Step, context: &Context) -> EventEnvelope {
    let mut payload = serde_json::json!({
        "payment_id": payment.id,
        "gateway": payment.gateway,
        "status": step.state,
        "price": payment.amount,
        "cause": entry.cause,
    });
    if let Some(object) = payload.as_object_mut() {
        match payment.parties {
            Some(parties) => {
                object.insert("consultation_id".to_owned(), serde_json::json!(parties.consultation));
                object.insert("patient_id".to_owned(), serde_json::json!(parties.patient));
                object.insert("doctor_id".to_owned(), serde_json::json!(parties.doctor));
                object.insert("starts_at".to_owned(), serde_json::json!(payment.visit.starts_at));
            }
            // All that it can be found by.
            None => {
                let names: Vec<_> = payment.captures.iter().map(|capture| &capture.reference).collect();
                object.insert("gateway_payment".to_owned(), serde_json::json!(names.first()));
            }
        }
        if let Some(amount) = entry.amount {
            object.insert("amount".to_owned(), serde_json::json!(amount));
        }
        if let Some(reason) = step.review {
            object.insert("reason".to_owned(), serde_json::json!(reason));
            if step.kind == StepKind::ReviewNeeded {
                object.insert("choices".to_owned(), choices(payment, reason, entry.amount));
                object.insert("tried".to_owned(), serde_json::json!(reason.tried()));
            }
        }
    }
    let aggregate = AggregateRef { kind: "payment".to_owned(), id: payment.id.as_uuid(), version: entry.version };
    let event = envelope(entry.event, event_type(entry.kind), aggregate, entry.at, context, payload);
    match step.kind {
        // Whoever's news it follows from: it is this domain that asks no longer.
        StepKind::ReviewWithdrawn => EventEnvelope { actor: Actor::System("payments").to_string(), ..event },
        _ => event,
    }
}

/// Each choice with what it moves, so that a second person can be asked where it is much.
fn choices(payment: &Payment, reason: ReviewReason, amount: Option<Money>) -> serde_json::Value {
    let moved = |choice: &Choice| match choice {
        Choice::RefundFull | Choice::RefundByPolicy | Choice::PaidOutElsewhere | Choice::WriteOff => {
            Some(amount.unwrap_or(payment.amount))
        }
        // What our books say went back goes out once more: no other retry moves what was not decided before.
        Choice::Retry if reason == ReviewReason::RefundMissingThere => Some(amount.unwrap_or(payment.amount)),
        Choice::MarkEarned | Choice::ConfirmAgain | Choice::Retry | Choice::LookAgain => None,
    };
    let choices = reason.choices().iter();
    choices.map(|choice| serde_json::json!({ "choice": choice, "amount": moved(choice) })).collect()
}

fn envelope(
    id: EventId,
    event_type: &str,
    aggregate: AggregateRef,
    at: Timestamp,
    context: &Context,
    payload: serde_json::Value,
) -> EventEnvelope {
    EventEnvelope {
        id,
        event_type: event_type.to_owned(),
        aggregate,
        occurred_at: at,
        actor: context.actor.to_string(),
        correlation_id: context.correlation_id.clone(),
        trace_parent: context.trace_parent.clone(),
        payload,
    }
}
