//! The message run: claims what is due and sends it, by mail or as a text.

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
            channel = message.channel.as_str(),
            attempt = message.attempts,
        );
        if let Some(parent) = &message.trace_parent {
            amrutam_telemetry::set_parent(&span, parent);
        }
        let channel = message.channel.as_str();
        let told = async move {
            let settled = delivery.await;
            metrics::counter!("amrutam_messages_settled_total", "channel" => channel, "outcome" => outcome(settled.as_ref()))
                .increment(1);
            match &settled {
                Some(Settled::Sent { .. }) => tracing::info!("message sent"),
                Some(Settled::Skipped { reason, .. }) => tracing::info!(reason = reason.as_str(), "message skipped"),
                Some(Settled::RetryAt { at, error }) => tracing::warn!(retry_at = %at, error, "message not taken"),
                Some(Settled::MaybeSent { at, error }) => {
                    tracing::warn!(retry_at = %at, error, "message perhaps taken, to be sent once more");
                }
                Some(Settled::GaveUp { error, .. }) => tracing::error!(error, "message given up"),
                None => tracing::warn!("nothing noted: it comes again when its lease ends"),
            }
            settled
        };
        told.instrument(span).boxed()
    }
}

fn outcome(settled: Option<&Settled>) -> &'static str {
    match settled {
        Some(Settled::Sent { .. }) => "sent",
        Some(Settled::Skipped { .. }) => "skipped",
        Some(Settled::RetryAt { .. } | Settled::MaybeSent { .. }) => "retried",
        Some(Settled::GaveUp { .. }) => "gave_up",
        None => "unsettled",
    }
}
