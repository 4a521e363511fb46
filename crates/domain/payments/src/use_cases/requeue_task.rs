//! An operator has a dead task tried again.

use super::{
    Deps,
    handle::{CONSUMER, ignore},
    perform_resolution::{finish, look_now},
    record::{mark, note},
};
use crate::{
    NewsError,
    model::{Evidence, Progress, TaskKind},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{Context, Effects, EventEnvelope, GatewayTaskId, Handled};
use serde::Deserialize;

#[derive(Deserialize)]
struct Payload {
    source: String,
    subject_id: GatewayTaskId,
    /// What the letter keeps of it.
    #[serde(default)]
    work: Option<Work>,
}

#[derive(Deserialize)]
struct Work {
    task: TaskKind,
}

/// Handles `dead_letter.requeued.v1` of gateway tasks: what the payment still needs of it is tried again, as a task of its
/// own: the one refund, or a look at once. An order that was given up is not: its visit has lost its slot.
pub async fn requeue_task(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    let payload = Payload::deserialize(&event.payload).map_err(|_| NewsError::Malformed("a requeued task"))?;
    if payload.source != "gateway_task" {
        return ignore(deps, event).await;
    }
    let context = Context::following(CONSUMER, event);
    let evidence = Evidence::Case(event.id.as_uuid());
    let noted = note(deps, Locator::Task(payload.subject_id), |snapshot| {
        let effects = Effects { inbox: mark(event), ..Effects::default() };
        let mut changes = PaymentChanges { effects, ..PaymentChanges::default() };
        if let Some(before) = snapshot.payment {
            let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
            match payload.work.as_ref().map(|work| &work.task) {
                Some(TaskKind::Refund { of }) => progress.retry_failed_refund(of, &evidence),
                Some(TaskKind::Poll) => {
                    progress.look_after_failure(&evidence);
                    look_now(deps, &context, &before, &mut changes);
                }
                // Nobody waits for it any more.
                Some(TaskKind::OpenOrder) | None => {}
            }
            finish(deps, &context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    Ok(noted.await?.handled())
}
