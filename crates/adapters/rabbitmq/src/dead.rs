//! Dead letters leave the broker for the office that keeps them.

use crate::{
    consumer::{Health, Parts},
    link::{self, Backoff, LinkError},
    message,
    settings::Settings,
    topology::short,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use lapin::{
    Connection, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Between attempts to hand one over.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes the dead letters of all consumers that the publisher was told of.
pub struct DeadLetters {
    task: AbortOnDropHandle<()>,
    consuming: Arc<AtomicBool>,
}

impl DeadLetters {
    /// Starts on a connection of its own, and returns at once. Runs until `stop` is cancelled.
    pub fn start(settings: &Settings, parts: &Parts, stop: &CancellationToken) -> Self {
        let consuming = Arc::new(AtomicBool::new(false));
        let taker = Taker {
            settings: settings.clone(),
            parts: parts.clone(),
            consuming: Arc::clone(&consuming),
            stop: stop.clone(),
        };
        Self { task: AbortOnDropHandle::new(tokio::spawn(taker.run())), consuming }
    }

    /// For readiness.
    pub fn watch(&self) -> Health {
        Health(vec![Arc::clone(&self.consuming)])
    }

    /// Returns when it has stopped.
    pub async fn stopped(self) {
        // A panic is in the logs; what it had taken comes again.
        let _ = self.task.await;
    }
}

struct Taker {
    settings: Settings,
    parts: Parts,
    consuming: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// Whose, and what; nothing when a consumer's stream is over: its queue is gone, or the broker has ended it.
type Item = (&'static str, Option<Result<Delivery, lapin::Error>>);
type Deliveries = SelectAll<BoxStream<'static, Item>>;

impl Taker {
    async fn run(self) {
        let mut backoff = Backoff::new("dead-letters".into(), Arc::clone(&self.parts.ids));
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                () = self.stop.cancelled() => return,
                opened = timeout(self.settings.connect_timeout(), self.open()) => opened.unwrap_or(Err(LinkError::Timeout)),
            };
            let (error, held) = match opened {
                Ok((connection, mut deliveries)) => {
                    tracing::info!(connection = "dead-letters", "consuming");
                    self.consuming.store(true, Ordering::Relaxed);
                    let since = Instant::now();
                    let ended = self.consume(&mut deliveries).await;
                    self.consuming.store(false, Ordering::Relaxed);
                    // Closing gives back what was not taken.
                    link::close(&connection).await;
                    match ended {
                        Ok(()) => return,
                        Err(error) => (error, since.elapsed()),
                    }
                }
                Err(error) => (error, Duration::ZERO),
            };
            backoff.failed(&error, held, &self.stop).await;
        }
    }

    async fn open(&self) -> Result<(Connection, Deliveries), LinkError> {
        let connection = link::connect(&self.settings, &format!("{} dead-letters", self.settings.prefix)).await?;
        let channel = connection.create_channel().await?;
        let topology = self.parts.publisher.topology();
        topology.declare_exchanges(&channel).await?;
        channel.basic_qos(self.settings.prefetch, BasicQosOptions::default()).await?;
        let mut deliveries = Deliveries::new();
        for spec in self.parts.publisher.consumers() {
            topology.declare_consumer(&channel, spec).await?;
            let (queue, options) = (short(&topology.dead_queue(spec.name)), BasicConsumeOptions::default());
            let consumer: Consumer = channel.basic_consume(queue, short(""), options, FieldTable::default()).await?;
            let name = spec.name;
            let ended = stream::once(async move { (name, None) });
            deliveries.push(consumer.map(move |delivery| (name, Some(delivery))).chain(ended).boxed());
        }
        Ok((connection, deliveries))
    }

    /// `Ok` when told to stop.
    async fn consume(&self, deliveries: &mut Deliveries) -> Result<(), LinkError> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                next = deliveries.next() => match next {
                    Some((consumer, Some(Ok(delivery)))) => self.take(consumer, &delivery).await,
                    Some((_, Some(Err(error)))) => return Err(error.into()),
                    Some((_, None)) | None => return Err(LinkError::Cancelled),
                },
            }
        }
    }

    /// Hands it over, however long that takes: a broker that is given it back counts that, and some drop a message then.
    async fn take(&self, consumer: &'static str, delivery: &Delivery) {
        let dead = message::dead(consumer, delivery);
        let mut told = false;
        while !self.stop.is_cancelled() && !delivery.acker.poisoned() {
            match timeout(self.settings.handler_timeout(), self.parts.office.take(dead.clone())).await {
                Ok(Ok(())) => {
                    metrics::counter!("amrutam_dead_letters_taken_total", "consumer" => consumer).increment(1);
                    if !matches!(delivery.acker.ack(BasicAckOptions::default()).await, Ok(true)) {
                        tracing::debug!(consumer, "not acknowledged; the dead letter comes again");
                    }
                    return;
                }
                outcome if !told => {
                    told = true;
                    let reason = match outcome {
                        Ok(Err(error)) => error.reason().to_owned(),
                        _ => "no answer in time".to_owned(),
                    };
                    tracing::warn!(consumer, reason, "a dead letter could not be taken over, trying on");
                }
                _ => {}
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}
