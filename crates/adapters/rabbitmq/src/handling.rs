//! One message: handled once, then acknowledged, tried again or buried.

use crate::{
    consumer::{Job, Parts},
    message::{self, Failure, History},
    topology::LADDER,
};
use amrutam_kernel::{EventEnvelope, EventHandler, EventId, Handled, HandlerError, PortError, TraceParent};
use lapin::{
    BasicProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::RwLock,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, Span, field};

pub(crate) struct Handling {
    handler: Arc<dyn EventHandler>,
    parts: Parts,
    limit: Duration,
    /// Held for writing by a message that may have killed the process before, for reading by all others.
    alone: Arc<RwLock<()>>,
    stop: CancellationToken,
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Done(Handled),
    Retry {
        number: u32,
        delay: Duration,
        redeliveries: u32,
        reason: String,
    },
    /// As a retry, but it is none of the few.
    Wait {
        retries: u32,
        delay: Duration,
        redeliveries: u32,
        reason: String,
    },
    Bury {
        attempts: u32,
        redeliveries: u32,
        reason: String,
    },
}

impl Handling {
    pub(crate) fn new(
        handler: Arc<dyn EventHandler>,
        parts: Parts,
        limit: Duration,
        alone: Arc<RwLock<()>>,
        stop: CancellationToken,
    ) -> Self {
        Self { handler, parts, limit, alone, stop }
    }

    pub(crate) async fn process(&self, job: Job) {
        let span = self.span(&job);
        self.process_in_span(job).instrument(span).await;
    }

    fn span(&self, job: &Job) -> Span {
        let span = tracing::info_span!(
            "message",
            consumer = self.handler.consumer(),
            event_id = field::Empty,
            event_type = field::Empty,
            aggregate_id = field::Empty,
            correlation_id = field::Empty,
            attempt = field::Empty,
        );
        let mut parent = message::traceparent(&job.delivery).map(TraceParent);
        if let Ok(event) = &job.event {
            span.record("event_id", field::display(&event.id));
            span.record("event_type", event.event_type.as_str());
            span.record("aggregate_id", field::display(event.aggregate.id));
            span.record("correlation_id", event.correlation_id.as_str());
            parent = event.trace_parent.clone().or(parent);
        }
        if let Some(parent) = parent {
            amrutam_telemetry::set_parent(&span, &parent);
        }
        span
    }

    async fn process_in_span(&self, job: Job) {
        let Job { delivery, event } = job;
        if self.returned_unbegun(&delivery).await {
            return;
        }
        let history = History::of(&delivery);
        let verdict = match event {
            Err(reason) => {
                let (attempts, redeliveries) = (history.retry.saturating_add(1), history.redeliveries_counted);
                Verdict::Bury { attempts, redeliveries, reason }
            }
            Ok(event) => {
                let alone = if history.redelivered { Some(self.alone.write().await) } else { None };
                let _together = if alone.is_none() { Some(self.alone.read().await) } else { None };
                // The wait may have been long.
                if self.returned_unbegun(&delivery).await {
                    return;
                }
                self.attempt(event, &history).await
            }
        };
        self.settle(&delivery, &history, verdict).await;
    }

    /// After a stop, or when the connection it came over is gone, a message waits for its next delivery.
    async fn returned_unbegun(&self, delivery: &Delivery) -> bool {
        if delivery.acker.poisoned() {
            return true;
        }
        if self.stop.is_cancelled() {
            self.requeue(delivery).await;
            return true;
        }
        false
    }

    async fn attempt(&self, event: EventEnvelope, history: &History) -> Verdict {
        let (consumer, id) = (self.handler.consumer(), event.id);
        let mut redeliveries = history.redeliveries_counted;
        if history.redelivered {
            match self.parts.ledger.begin(consumer, event.id).await {
                Ok(begun) => redeliveries = begun,
                Err(error) => return self.failed(HandlerError::from(error), history.retry, redeliveries),
            }
        }
        let retries = history.retry.saturating_add(redeliveries.saturating_sub(history.redeliveries_counted));
        Span::current().record("attempt", retries.saturating_add(1));
        if retries > LADDER.max_retries {
            let reason = "its handling never came to an end: each time the process or its connection was lost".into();
            return Verdict::Bury { attempts: retries, redeliveries, reason };
        }
        let begun = Instant::now();
        let outcome = self.guarded(event).await;
        metrics::histogram!("amrutam_message_seconds", "consumer" => consumer).record(begun.elapsed().as_secs_f64());
        let outcome = match outcome {
            Ok(handled) if history.requeued => self.settled(id, handled).await,
            outcome => outcome,
        };
        match outcome {
            Ok(handled) => Verdict::Done(handled),
            Err(error) => self.failed(error, retries, redeliveries),
        }
    }

    /// A dead letter that was handled in the end is none any more. When that can't be noted now, the message comes again: it
    /// is a duplicate then, and never a failure of its handler.
    async fn settled(&self, event: EventId, handled: Handled) -> Result<Handled, HandlerError> {
        let noted = timeout(self.limit, self.parts.office.settle(self.handler.consumer(), event)).await;
        match noted {
            Ok(Ok(())) => Ok(handled),
            Ok(Err(error)) => Err(HandlerError::Unavailable(format!("{error}: {}", PortError::reason(&error)))),
            Err(_) => Err(HandlerError::Unavailable("it could not be noted in time that it was handled".into())),
        }
    }

    /// Runs the handler within its time, and survives its panic.
    async fn guarded(&self, event: EventEnvelope) -> Result<Handled, HandlerError> {
        let handler = Arc::clone(&self.handler);
        let run = async move { handler.handle(event).await }.instrument(Span::current());
        let mut task = AbortOnDropHandle::new(tokio::spawn(run));
        match timeout(self.limit, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            // The panic's own text went to the logs; it may quote data that has no place in a header.
            Ok(Err(_)) => Err(HandlerError::Retry("the handler panicked".into())),
            Err(_) => {
                task.abort();
                // Else the next event of the aggregate could run beside it.
                let _ = task.await;
                Err(HandlerError::Retry(format!("not handled within {} ms", self.limit.as_millis())))
            }
        }
    }

    fn failed(&self, error: HandlerError, retries: u32, redeliveries: u32) -> Verdict {
        let attempts = retries.saturating_add(1);
        match error {
            HandlerError::Permanent(reason) => Verdict::Bury { attempts, redeliveries, reason },
            HandlerError::Unavailable(reason) => {
                // Full jitter would bring some of them back at once, and what is away is away for seconds at least.
                let half = longest_delay() / 2;
                let jitter = self.parts.ids.below(u64::try_from(half.as_millis()).unwrap_or(u64::MAX));
                let delay = half.saturating_add(Duration::from_millis(jitter));
                Verdict::Wait { retries, delay, redeliveries, reason }
            }
            HandlerError::Retry(reason) => match LADDER.delay(attempts, |bound| self.parts.ids.below(bound)) {
                Some(delay) => Verdict::Retry { number: attempts, delay, redeliveries, reason },
                None => Verdict::Bury { attempts, redeliveries, reason },
            },
        }
    }

    async fn settle(&self, delivery: &Delivery, history: &History, verdict: Verdict) {
        let consumer = self.handler.consumer();
        let topology = self.parts.publisher.topology();
        let now = self.parts.clock.now();
        let (result, handed_over) = match verdict {
            Verdict::Done(handled) => {
                tracing::debug!(?handled, "message handled");
                (handled_result(handled), true)
            }
            Verdict::Retry { number, delay, redeliveries, reason } => {
                tracing::warn!(retry = number, delay_ms = delay.as_millis(), reason, "message to be tried again");
                let queue = topology.retry_queue(consumer, LADDER.bound(number).unwrap_or_default());
                let failure = Failure { reason: &reason, now };
                let properties = message::for_retry(delivery, history, &failure, number, redeliveries, delay);
                ("retried", self.hand_over(delivery, "", &queue, properties).await)
            }
            Verdict::Wait { retries, delay, redeliveries, reason } => {
                tracing::warn!(delay_ms = delay.as_millis(), reason, "message to wait for what its handler needs");
                let queue = topology.retry_queue(consumer, longest_delay());
                let failure = Failure { reason: &reason, now };
                let properties = message::for_retry(delivery, history, &failure, retries, redeliveries, delay);
                ("waiting", self.hand_over(delivery, "", &queue, properties).await)
            }
            Verdict::Bury { attempts, redeliveries, reason } => {
                tracing::error!(attempts, reason, "message to the dead letters");
                let failure = Failure { reason: &reason, now };
                let properties = message::for_dead(delivery, history, &failure, attempts, redeliveries);
                let (exchange, key) = (topology.dead_exchange(), topology.work_queue(consumer));
                ("dead", self.hand_over(delivery, &exchange, &key, properties).await)
            }
        };
        if !handed_over {
            self.requeue(delivery).await;
            return;
        }
        metrics::counter!("amrutam_messages_handled_total", "consumer" => consumer, "result" => result).increment(1);
        if !matches!(delivery.acker.ack(BasicAckOptions::default()).await, Ok(true)) {
            tracing::debug!("not acknowledged; the message comes again");
        }
    }

    /// Publishes the message's copy, as long as that takes and the original is ours.
    async fn hand_over(&self, delivery: &Delivery, exchange: &str, key: &str, properties: BasicProperties) -> bool {
        let mut pause = Duration::from_millis(100);
        let mut told = false;
        loop {
            // Not ours any more: a copy would be handled beside the original, which comes again.
            if delivery.acker.poisoned() {
                return false;
            }
            let sent = self.parts.publisher.send_to_own(exchange, key, properties.clone(), &delivery.data).await;
            let Err(error) = sent else { return true };
            if !told {
                told = true;
                tracing::warn!(%error, "the message could not be handed over, trying on");
            }
            if self.stop.is_cancelled() {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
            pause = pause.saturating_mul(2).min(Duration::from_secs(2));
        }
    }

    async fn requeue(&self, delivery: &Delivery) {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        // Not answered when the connection is gone; the broker then requeues by itself.
        let _ = delivery.acker.nack(options).await;
    }
}

/// The ladder's last step.
fn longest_delay() -> Duration {
    LADDER.bound(LADDER.max_retries).unwrap_or_default()
}

fn handled_result(handled: Handled) -> &'static str {
    match handled {
        Handled::Applied => "applied",
        Handled::Duplicate => "duplicate",
        Handled::Ignored => "ignored",
    }
}
