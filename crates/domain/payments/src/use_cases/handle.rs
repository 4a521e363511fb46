//! The consumer: which event goes to which use case.

use super::{
    Deps, follow_visit, open_intent, perform_resolution,
    record::{mark, record_alone},
    requeue_task,
};
use crate::{NewsError, ports::PaymentChanges};
use amrutam_kernel::{Effects, EventEnvelope, Handled};

/// The consumer's fixed name: its queue and its inbox marks are known by it.
pub const CONSUMER: &str = "payments";

/// What it hears of visits, where they are paid.
pub const VISIT_BINDINGS: &[&str] = &["consultation.*.v1"];

/// What it hears in any case: decisions about payments that were made before.
pub const DECISION_BINDINGS: &[&str] = &["review.resolved.v1", "dead_letter.requeued.v1"];

/// Both.
pub const BINDINGS: &[&str] = &["consultation.*.v1", "review.resolved.v1", "dead_letter.requeued.v1"];

/// Handles one event: its effect and its inbox mark are committed when this returns. A redelivered event does nothing.
pub async fn handle(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    match event.event_type.as_str() {
        "consultation.requested.v1" => open_intent(deps, event).await,
        visit if visit.starts_with("consultation.") => follow_visit(deps, event).await,
        "review.resolved.v1" => perform_resolution(deps, event).await,
        "dead_letter.requeued.v1" => requeue_task(deps, event).await,
        _ => ignore(deps, event).await,
    }
}

/// Nothing to do, on the record: the inbox tells what has been seen.
pub(super) async fn ignore(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    let effects = Effects { inbox: mark(event), ..Effects::default() };
    record_alone(deps, &PaymentChanges { effects, ..PaymentChanges::default() }).await?;
    Ok(Handled::Ignored)
}
