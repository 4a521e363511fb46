//! The mail run: claims what is due and sends it.

use crate::{
    notifications::deps,
    worker::{World, rest},
};
use amrutam_notifications::use_cases::{CONCURRENT_SENDS, deliver_due};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// As many as are sent at one time: a worker that dies leaves few behind, and they come back when a short lease ends.
const BATCH: u16 = CONCURRENT_SENDS;
const AWAY: Duration = Duration::from_secs(1);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // Not raced against `stop`: a claim that has begun is finished, so that nothing waits for its lease to end.
        match deliver_due(deps(&world), BATCH).await {
            Ok(summary) => {
                let count = |outcome: &'static str, n: usize| {
                    metrics::counter!("amrutam_messages_settled_total", "outcome" => outcome).increment(n as u64);
                };
                count("sent", summary.sent);
                count("skipped", summary.skipped);
                count("retried", summary.retried);
                count("gave_up", summary.gave_up);
                count("unsettled", summary.unsettled);
                if summary.claimed > 0 {
                    tracing::info!(
                        sent = summary.sent,
                        skipped = summary.skipped,
                        retried = summary.retried,
                        gave_up = summary.gave_up,
                        unsettled = summary.unsettled,
                        "messages settled"
                    );
                }
                if summary.claimed < usize::from(BATCH) {
                    rest(&stop, world.idle).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, reason = error.reason(), "no messages could be claimed");
                rest(&stop, AWAY).await;
            }
        }
    }
}
