//! The task runner: claims what is due at a gateway and does it, outside of any transaction.

use crate::{
    payments::deps,
    worker::{World, rest},
};
use amrutam_crash::Point;
use amrutam_payments::{
    model::{GatewayTask, TaskEnd},
    ports::PaymentStore,
    use_cases::{Ran, run_task},
};
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// As many as are under way at one time: a worker that dies leaves few behind, and they come back when their lease ends.
const BATCH: u16 = 16;
const AWAY: Duration = Duration::from_secs(1);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // Not raced against `stop`: what is claimed is done, so that nothing waits for its lease to end.
        match PaymentStore::claim_tasks(&world.postgres, world.payments.rules.lease, BATCH).await {
            Ok(tasks) => {
                let claimed = tasks.len();
                stream::iter(tasks).for_each_concurrent(None, |task| one(&world, task)).await;
                if claimed < usize::from(BATCH) {
                    rest(&stop, world.idle).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "no tasks could be claimed");
                rest(&stop, AWAY).await;
            }
        }
    }
}

async fn one(world: &World, task: GatewayTask) {
    let kind = task.kind.as_str();
    let span = tracing::info_span!(
        "gateway_task",
        correlation_id = task.correlation_id.as_str(),
        task_id = %task.id,
        payment_id = %task.payment,
        kind,
        tries = task.tries,
    );
    let work = async {
        amrutam_crash::here(Point::TaskClaimed);
        let outcome = match run_task(deps(world), &task).await {
            Ok(Ran::Ended(TaskEnd::Done)) => "done",
            Ok(Ran::Ended(TaskEnd::Again { .. })) => "again",
            Ok(Ran::Ended(TaskEnd::Retry { at, error })) => {
                tracing::warn!(retry_at = %at, error, "not done, to be tried again");
                "retried"
            }
            Ok(Ran::Ended(TaskEnd::Wait { at, error })) => {
                tracing::warn!(retry_at = %at, error, "the gateway is away");
                "waiting"
            }
            Ok(Ran::Ended(TaskEnd::Renew { at, error })) => {
                tracing::warn!(retry_at = %at, error, "to be asked under another key");
                "waiting"
            }
            Ok(Ran::Ended(TaskEnd::Rest { at, error })) => {
                tracing::warn!(retry_at = %at, error, "the gateway keeps failing");
                "waiting"
            }
            Ok(Ran::Ended(TaskEnd::Dead { error })) => {
                tracing::error!(error, "given up");
                "dead"
            }
            Ok(Ran::Lost) => "lost",
            Err(error) => {
                tracing::warn!(%error, "nothing noted: it comes again when its lease ends");
                "unsettled"
            }
        };
        metrics::counter!("amrutam_gateway_tasks_total", "kind" => kind, "outcome" => outcome).increment(1);
    };
    work.instrument(span).await;
}
