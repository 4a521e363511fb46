//! The mail run: claims what is due and sends it.

use crate::{
    notifications::deps,
    worker::{World, rest},
};
use amrutam_notifications::{
    ScheduledMessage,
    ports::{Settled, Watch},
    use_cases::{CONCURRENT_SENDS, deliver_due},
};
use futures::{FutureExt, future::BoxFuture};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// As many as are sent at one time: a worker that dies leaves few behind, and they come back when a short lease ends.
const BATCH: u16 = CONCURRENT_SENDS;
const AWAY: Duration = Duration::from_secs(1);

pub(crate) async fn run(world: World, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // Not raced against `stop`: a claim that has begun is finished, so that nothing waits for its lease to end.
        match deliver_due(deps(&world), &Spans, BATCH).await {
            Ok(summary) => {
                let count = |outcome: &'static str, n: usize| {
                    metrics::counter!("amrutam_messages_settled_total", "outcome" => outcome).increment(n as u64);
                };
                count("sent", summary.sent);
                count("skipped", summary.skipped);
                count("retried", summary.retried);
                count("gave_up", summary.gave_up);
                count("unsettled", summary.unsettled);
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

/// A span for each message, in the trace of what it follows from; the outcome is told in it.
struct Spans;

impl Watch for Spans {
    fn watch<'a>(
        &'a self,
        message: &ScheduledMessage,
        delivery: BoxFuture<'a, Option<Settled>>,
    ) -> BoxFuture<'a, Option<Settled>> {
        let span = tracing::info_span!(
            "delivery",
            correlation_id = message.correlation_id.as_str(),
            message_id = %message.id,
            kind = message.kind.as_str(),
            attempt = message.attempts,
        );
        if let Some(parent) = &message.trace_parent {
            amrutam_telemetry::set_parent(&span, parent);
        }
        let told = async move {
            let settled = delivery.await;
            match &settled {
                Some(Settled::Sent { .. }) => tracing::info!("mail sent"),
                Some(Settled::Skipped { reason, .. }) => tracing::info!(reason = reason.as_str(), "mail skipped"),
                Some(Settled::RetryAt { at, error }) => tracing::warn!(retry_at = %at, error, "mail not taken"),
                Some(Settled::MaybeSent { at, error }) => {
                    tracing::warn!(retry_at = %at, error, "mail perhaps taken, to be sent once more");
                }
                Some(Settled::GaveUp { error, .. }) => tracing::error!(error, "mail given up"),
                None => tracing::warn!("nothing noted: it comes again when its lease ends"),
            }
            settled
        };
        told.instrument(span).boxed()
    }
}
