//! An operator has a dead task tried again.

use super::{
    Deps,
    handle::ignore,
    record::{context_of, mark, note, update},
};
use crate::{
    NewsError,
    model::{Evidence, Progress, ReviewReason},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{Effects, EventEnvelope, GatewayTaskId, Handled};
use serde::Deserialize;

#[derive(Deserialize)]
struct Payload {
    source: String,
    subject_id: GatewayTaskId,
}

/// Handles `dead_letter.requeued.v1` of gateway tasks: what the payment still needs of it is tried again, as a task of its
/// own. An order that was given up is not: its visit has lost its slot.
pub async fn requeue_task(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    let payload = Payload::deserialize(&event.payload).map_err(|_| NewsError::Malformed("a requeued task"))?;
    if payload.source != "gateway_task" {
        return ignore(deps, event).await;
    }
    let context = context_of(event);
    let evidence = Evidence::Case(event.id.as_uuid());
    let noted = note(deps, Locator::Task(payload.subject_id), |snapshot| {
        let effects = Effects { inbox: mark(event), ..Effects::default() };
        let mut changes = PaymentChanges { effects, ..PaymentChanges::default() };
        if let Some(before) = snapshot.payment {
            let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
            progress.close(ReviewReason::TaskFailed, &evidence);
            progress.retry_refunds(&evidence);
            update(deps, &context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    Ok(noted.await?.handled())
}
