//! What this domain announces: one event per step of a payment. Schemas: `docs/events/`. Payloads carry ids, codes, amounts and
//! times.

use crate::model::{
    Choice, GatewayName, GatewayPayment, GatewayPaymentRef, Payment, PaymentEntry, ReviewReason, Step, StepKind,
};
use amrutam_kernel::{AggregateRef, Context, EventEnvelope, EventId, Money};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

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
pub(crate) fn payment_event(payment: &Payment, entry: &PaymentEntry, step: &Step, context: &Context) -> EventEnvelope {
    let mut payload = serde_json::json!({
        "payment_id": payment.id,
        "consultation_id": payment.consultation,
        "patient_id": payment.patient,
        "doctor_id": payment.doctor,
        "starts_at": payment.visit.starts_at,
        "gateway": payment.gateway,
        "status": step.state,
        "price": payment.amount,
        "cause": entry.cause,
    });
    if let Some(object) = payload.as_object_mut() {
        if let Some(amount) = entry.amount {
            object.insert("amount".to_owned(), serde_json::json!(amount));
        }
        if let Some(reason) = step.review {
            object.insert("reason".to_owned(), serde_json::json!(reason));
            object.insert("choices".to_owned(), choices(payment, reason, entry.amount));
        }
    }
    let aggregate = AggregateRef { kind: "payment".to_owned(), id: payment.id.as_uuid(), version: entry.version };
    envelope(entry.event, event_type(entry.kind), aggregate, entry.at, context, payload)
}

/// Each choice with what it moves, so that a second person can be asked where it is much.
fn choices(payment: &Payment, reason: ReviewReason, amount: Option<Money>) -> serde_json::Value {
    let moved = |choice: &Choice| match choice {
        Choice::RefundFull | Choice::RefundByPolicy | Choice::PaidOutElsewhere | Choice::WriteOff => {
            Some(amount.unwrap_or(payment.amount))
        }
        Choice::MarkEarned | Choice::ConfirmAgain | Choice::Retry | Choice::LookAgain => None,
    };
    let choices = reason.choices().iter();
    choices.map(|choice| serde_json::json!({ "choice": choice, "amount": moved(choice) })).collect()
}

/// Money at a gateway that belongs to no payment of ours: a person is asked. The case's subject is named after the
/// gateway's payment, so that the same one told again is the same case.
pub(crate) fn unknown_payment(
    id: EventId,
    gateway: &GatewayName,
    seen: &GatewayPayment,
    context: &Context,
    now: Timestamp,
) -> EventEnvelope {
    let reason = ReviewReason::UnknownPayment;
    let choices = reason.choices().iter();
    let choices: serde_json::Value =
        choices.map(|choice| serde_json::json!({ "choice": choice, "amount": seen.amount })).collect();
    let payload = serde_json::json!({
        "gateway": gateway,
        "gateway_payment": seen.reference,
        "reason": reason,
        "choices": choices,
        "amount": seen.amount,
        "cause": reason.as_str(),
    });
    let aggregate =
        AggregateRef { kind: "gateway_payment".to_owned(), id: subject_of(gateway, &seen.reference), version: 0 };
    envelope(id, REVIEW_NEEDED, aggregate, now, context, payload)
}

/// A UUID (version 8: of our own making) that follows from the gateway's name for a payment.
fn subject_of(gateway: &GatewayName, reference: &GatewayPaymentRef) -> Uuid {
    let digest = Sha256::new().chain_update(gateway.as_str()).chain_update(":").chain_update(reference.as_str());
    let digest: [u8; 32] = digest.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
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
