//! Consumers: kept connected, an aggregate's events in one lane, stopped without losing what runs.

use crate::{
    handling::Handling,
    link::{self, Backoff, LinkError},
    publisher::Publisher,
    settings::Settings,
    topology::{ConsumerSpec, short},
};
use amrutam_kernel::{Clock, DeadLetterOffice, EventEnvelope, EventHandler, IdSource, RedeliveryLedger};
use futures::StreamExt;
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{RwLock, mpsc},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// What consumers need besides their handlers.
#[derive(Clone)]
pub struct Parts {
    /// Carries retries and dead letters. On a connection of its own: a broker short of disk or memory stops reading from
    /// connections that publish, and acknowledgements would be stuck behind.
    pub publisher: Publisher,
    /// Counts the beginnings of redelivered messages.
    pub ledger: Arc<dyn RedeliveryLedger>,
    /// Keeps dead letters, and hears of those that were handled in the end.
    pub office: Arc<dyn DeadLetterOffice>,
    /// Stamps first failures.
    pub clock: Arc<dyn Clock>,
    /// Draws the jitter.
    pub ids: Arc<dyn IdSource>,
}

/// The running consumers of a process.
pub struct Consumers {
    tasks: JoinSet<()>,
    health: Health,
}

/// Tells how the consumers are; for readiness.
#[derive(Clone)]
pub struct Health(pub(crate) Vec<Arc<AtomicBool>>);

impl Health {
    /// Of all that either tells of.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether every consumer is connected and consuming.
    pub fn all_consuming(&self) -> bool {
        self.0.iter().all(|consuming| consuming.load(Ordering::Relaxed))
    }
}

impl Consumers {
    /// Starts one consumer per handler, each on its own connection, and returns at once. They run until `stop` is cancelled.
    ///
    /// Start all handlers of a process by one call: a message that may have killed the process before is handled while
    /// nothing else is, so that only it is counted if it does so again.
    pub fn start(
        settings: &Settings,
        handlers: Vec<Arc<dyn EventHandler>>,
        parts: &Parts,
        stop: &CancellationToken,
    ) -> Self {
        let alone = Arc::new(RwLock::new(()));
        let mut tasks = JoinSet::new();
        let mut all = Vec::new();
        for handler in handlers {
            let consuming = Arc::new(AtomicBool::new(false));
            all.push(Arc::clone(&consuming));
            let consumer = Consumer {
                settings: settings.clone(),
                spec: ConsumerSpec::of(handler.as_ref()),
                parts: parts.clone(),
                consuming,
                stop: stop.clone(),
            };
            let handling =
                Handling::new(handler, parts.clone(), settings.handler_timeout(), Arc::clone(&alone), stop.clone());
            tasks.spawn(consumer.run(Arc::new(handling)));
        }
        Self { tasks, health: Health(all) }
    }

    /// For whoever must know after [`Consumers::stopped`] has taken this value.
    pub fn watch(&self) -> Health {
        self.health.clone()
    }

    /// Whether every consumer is connected and consuming.
    pub fn health(&self) -> bool {
        self.health.all_consuming()
    }

    /// Returns when all have stopped: soon after the token given to [`Consumers::start`] is cancelled, and at the latest when
    /// the settings' stop timeout has passed.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Consumer {
    settings: Settings,
    spec: ConsumerSpec,
    parts: Parts,
    consuming: Arc<AtomicBool>,
    stop: CancellationToken,
}

struct Open {
    connection: Connection,
    channel: Channel,
    deliveries: lapin::Consumer,
}

impl Consumer {
    async fn run(self, handling: Arc<Handling>) {
        // The lanes outlive connections: what still runs for an aggregate when a connection breaks is finished before
        // the next one brings the same aggregate again.
        let lanes = Lanes::start(usize::from(self.settings.prefetch), &handling);
        let mut backoff = Backoff::new(self.spec.name.into(), Arc::clone(&self.parts.ids));
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                () = self.stop.cancelled() => break,
                opened = timeout(self.settings.connect_timeout(), self.open()) => opened.unwrap_or(Err(LinkError::Timeout)),
            };
            let (error, held) = match opened {
                Ok(mut open) => {
                    tracing::info!(connection = self.spec.name, "consuming");
                    self.consuming.store(true, Ordering::Relaxed);
                    let since = Instant::now();
                    let ended = self.consume(&mut open, &lanes).await;
                    self.consuming.store(false, Ordering::Relaxed);
                    match ended {
                        Ok(()) => {
                            let cancel =
                                open.channel.basic_cancel(open.deliveries.tag(), BasicCancelOptions::default());
                            let _ = timeout(Duration::from_secs(1), cancel).await;
                            lanes.finish(self.settings.stop_timeout()).await;
                            // Closing gives back what was never begun.
                            link::close(&open.connection).await;
                            return;
                        }
                        Err(error) => {
                            link::close(&open.connection).await;
                            (error, since.elapsed())
                        }
                    }
                }
                Err(error) => (error, Duration::ZERO),
            };
            backoff.failed(&error, held, &self.stop).await;
        }
        lanes.finish(self.settings.stop_timeout()).await;
    }

    async fn open(&self) -> Result<Open, LinkError> {
        let name = format!("{} {}", self.settings.prefix, self.spec.name);
        let connection = link::connect(&self.settings, &name).await?;
        let channel = connection.create_channel().await?;
        let topology = self.parts.publisher.topology();
        topology.declare_exchanges(&channel).await?;
        topology.declare_consumer(&channel, &self.spec).await?;
        channel.basic_qos(self.settings.prefetch, BasicQosOptions::default()).await?;
        let queue = short(&topology.work_queue(self.spec.name));
        let deliveries =
            channel.basic_consume(queue, short(""), BasicConsumeOptions::default(), FieldTable::default()).await?;
        Ok(Open { connection, channel, deliveries })
    }

    /// `Ok` when told to stop.
    async fn consume(&self, open: &mut Open, lanes: &Lanes) -> Result<(), LinkError> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                next = open.deliveries.next() => match next {
                    Some(Ok(delivery)) => lanes.dispatch(delivery),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(LinkError::Cancelled),
                },
            }
        }
    }
}

/// A message on its way through a lane.
pub(crate) struct Job {
    pub(crate) delivery: Delivery,
    pub(crate) event: Result<EventEnvelope, String>,
}

/// As many lanes as messages can be under way. One aggregate's messages share a lane and are handled one after the other.
struct Lanes {
    jobs: Vec<mpsc::UnboundedSender<Job>>,
    tasks: JoinSet<()>,
}

impl Lanes {
    fn start(count: usize, handling: &Arc<Handling>) -> Self {
        let mut tasks = JoinSet::new();
        let jobs = (0..count)
            .map(|_| {
                // Bounded by the prefetch.
                let (sender, mut receiver) = mpsc::unbounded_channel();
                let handling = Arc::clone(handling);
                tasks.spawn(async move {
                    while let Some(job) = receiver.recv().await {
                        handling.process(job).await;
                    }
                });
                sender
            })
            .collect();
        Self { jobs, tasks }
    }

    fn dispatch(&self, delivery: Delivery) {
        // The parser's text may quote the body; where it stopped is enough to find the fault in the dead letter.
        let event: Result<EventEnvelope, String> = serde_json::from_slice(&delivery.data).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("not an event envelope: {:?} error at line {line}, column {column}", error.classify())
        });
        let mut hasher = DefaultHasher::new();
        event.as_ref().map(|event| event.aggregate.id).ok().hash(&mut hasher);
        let lanes = u64::try_from(self.jobs.len()).unwrap_or(1).max(1);
        let lane = usize::try_from(hasher.finish() % lanes).unwrap_or(0);
        if let Some(jobs) = self.jobs.get(lane) {
            // The lane ends only after this sender.
            let _ = jobs.send(Job { delivery, event });
        }
    }

    async fn finish(mut self, within: Duration) {
        self.jobs.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(within, all).await.is_err() {
            tracing::warn!(lanes = self.tasks.len(), "handlers did not finish in time; their messages come again");
            self.tasks.shutdown().await;
        }
    }
}
