//! Publishing, where only the broker's confirm counts.

use crate::{
    link::{self, Backoff, LinkError},
    message,
    settings::Settings,
    topology::{ConsumerSpec, Topology, short},
};
use amrutam_kernel::{Dependency, EventEnvelope, EventPublisher, IdSource, PortError, Requeue};
use async_trait::async_trait;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages waiting for their confirms at once. Each has a channel of its own.
const IN_FLIGHT: usize = 16;

/// Publishes over one connection, which it keeps up by itself until the last clone is dropped.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
    _running: Arc<DropGuard>,
}

/// How much waits in a queue, and who takes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// Messages ready to be delivered; those delivered and not yet acknowledged are not among them.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

struct Shared {
    settings: Settings,
    topology: Topology,
    consumers: Vec<ConsumerSpec>,
    in_flight: Semaphore,
    session: watch::Sender<Option<Arc<Session>>>,
    stop: CancellationToken,
}

struct Session {
    connection: Connection,
    // lapin gives a returned message to whichever confirm of the channel arrives next: with two publishes under way, an
    // unroutable one could pass as confirmed. So a channel is used by one publish at a time, and never again by anyone
    // when that publish was not seen to its end.
    idle: Mutex<Vec<Channel>>,
    given_up: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("not connected")]
    NotConnected,
    #[error("the broker blocks publishers")]
    Blocked,
    #[error("the broker refused the message")]
    Refused,
    #[error("no queue is bound for it")]
    Unroutable,
    #[error("not confirmed in time")]
    TimedOut,
    #[error("too many wait to be confirmed")]
    Busy,
    #[error("{0}")]
    Broken(#[from] lapin::Error),
    #[error("confirms are off")]
    Unconfirmed,
}

impl PublishError {
    fn result(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Unroutable => "unroutable",
            Self::TimedOut => "timed_out",
            Self::Busy => "busy",
            Self::Broken(_) | Self::Unconfirmed => "broken",
        }
    }

    fn ends_session(&self, blocked: bool) -> bool {
        match self {
            Self::Broken(_) | Self::Unconfirmed => true,
            // A silent broker: later publishes then fail at once, rather than each after the whole timeout.
            Self::TimedOut => !blocked,
            Self::NotConnected | Self::Blocked | Self::Refused | Self::Unroutable | Self::Busy => false,
        }
    }
}

/// A crowd of ours that waits too long says nothing about the broker.
async fn turn(in_flight: &Semaphore, patience: Duration) -> Result<SemaphorePermit<'_>, PublishError> {
    let permit = timeout(patience, in_flight.acquire()).await.map_err(|_| PublishError::Busy)?;
    permit.map_err(|_| PublishError::NotConnected)
}

impl Publisher {
    /// Starts connecting and returns at once; until the connection is up, publishing fails. `consumers` are all there are, in
    /// this process or another: their queues are declared, so that events find them before a consumer first runs.
    ///
    /// Call it inside a tokio runtime.
    pub fn start(settings: &Settings, consumers: Vec<ConsumerSpec>, ids: Arc<dyn IdSource>) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            topology: Topology::new(settings.prefix.clone()),
            consumers,
            in_flight: Semaphore::new(IN_FLIGHT),
            session: watch::Sender::new(None),
            stop: stop.clone(),
        });
        tokio::spawn(Arc::clone(&shared).keep_connected(ids));
        Self { shared, _running: Arc::new(stop.drop_guard()) }
    }

    /// Whether messages can be published now, as far as is known.
    pub fn health(&self) -> bool {
        self.shared.session().is_some_and(|session| !session.connection.status().blocked())
    }

    /// Waits for a connection; tells whether there is one.
    pub async fn ready(&self, within: Duration) -> bool {
        let mut sessions = self.shared.session.subscribe();
        matches!(timeout(within, sessions.wait_for(Option::is_some)).await, Ok(Ok(_)))
    }

    /// What waits in the consumers' queues, also set as the gauge `amrutam_queue_messages{queue}`. A queue that is missing
    /// is left out.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn queue_depths(&self) -> Result<Vec<QueueDepth>, PortError> {
        let unavailable = |reason: &dyn std::fmt::Display| PortError::unavailable(Dependency::Broker, reason);
        let session = self.shared.session().ok_or_else(|| unavailable(&PublishError::NotConnected))?;
        let asked = timeout(self.shared.settings.confirm_timeout(), self.shared.ask_depths(&session.connection));
        let depths =
            asked.await.map_err(|_| unavailable(&"no answer in time"))?.map_err(|error| unavailable(&error))?;
        for depth in &depths {
            metrics::gauge!("amrutam_queue_messages", "queue" => depth.queue.clone()).set(f64::from(depth.messages));
        }
        Ok(depths)
    }

    /// Closes the connection; every clone is of no use from then on.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        let mut sessions = self.shared.session.subscribe();
        let _ = timeout(Duration::from_secs(2), sessions.wait_for(Option::is_none)).await;
    }

    pub(crate) fn consumers(&self) -> &[ConsumerSpec] {
        &self.shared.consumers
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.shared.topology
    }

    /// Sends a message that belongs into a queue of ours. When the queue is gone, everything is declared anew.
    pub(crate) async fn send_to_own(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), PublishError> {
        let sent = self.send(exchange, key, properties, body).await;
        if matches!(sent, Err(PublishError::Unroutable))
            && let Some(session) = self.shared.session()
        {
            session.given_up.cancel();
        }
        sent
    }

    async fn send(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), PublishError> {
        let patience = self.shared.settings.confirm_timeout();
        // Who can't be served does not queue.
        self.shared.usable()?;
        let _turn = turn(&self.shared.in_flight, patience).await?;
        // It may be another one by now.
        let session = self.shared.usable()?;
        let sending = session.publish(exchange, key, properties, body);
        let outcome = timeout(patience, sending).await.unwrap_or(Err(PublishError::TimedOut));
        if let Err(error) = &outcome
            && error.ends_session(session.connection.status().blocked())
        {
            session.given_up.cancel();
        }
        outcome
    }
}

#[async_trait]
impl EventPublisher for Publisher {
    async fn publish(&self, event: &EventEnvelope) -> Result<(), PortError> {
        if event.event_type.len() > 255 {
            return Err(PortError::defect(Dependency::Broker, "an event type is too long for a routing key"));
        }
        let body = serde_json::to_vec(event).map_err(|error| PortError::defect(Dependency::Broker, error))?;
        let exchange = self.shared.topology.events_exchange();
        let sent = self.send(&exchange, &event.event_type, message::of_event(event), &body).await;
        let result = sent.as_ref().map_or_else(PublishError::result, |()| "confirmed");
        metrics::counter!("amrutam_events_published_total", "result" => result).increment(1);
        sent.map_err(|error| match error {
            // Waiting does not help: somebody has to bind a queue.
            PublishError::Unroutable => {
                PortError::defect(Dependency::Broker, format_args!("{}: {error}", event.event_type.escape_default()))
            }
            other => PortError::unavailable(Dependency::Broker, other),
        })
    }

    async fn requeue(&self, event: &EventEnvelope, to: &Requeue) -> Result<(), PortError> {
        let body = serde_json::to_vec(event).map_err(|error| PortError::defect(Dependency::Broker, error))?;
        // The default exchange routes by the queue's name: nobody else gets it.
        let queue = self.shared.topology.work_queue(&to.consumer);
        let sent = self.send_to_own("", &queue, message::of_requeue(event, to), &body).await;
        let result = sent.as_ref().map_or_else(PublishError::result, |()| "confirmed");
        metrics::counter!("amrutam_events_requeued_total", "result" => result).increment(1);
        let known = self.consumers().iter().any(|spec| spec.name == to.consumer);
        sent.map_err(|error| match error {
            // Its queue is not declared anew when nobody is of that name any more.
            PublishError::Unroutable if !known => PortError::defect(
                Dependency::Broker,
                format_args!("there is no consumer {}", to.consumer.escape_default()),
            ),
            other => PortError::unavailable(Dependency::Broker, other),
        })
    }
}

impl Session {
    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), PublishError> {
        let idle = self.idle().pop();
        let channel = match idle {
            Some(channel) => channel,
            None => {
                let channel = self.connection.create_channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                channel
            }
        };
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let confirm = channel.basic_publish(short(exchange), short(key), options, body, properties).await?;
        let outcome = match confirm.await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(PublishError::Unroutable),
            Confirmation::Nack(_) => Err(PublishError::Refused),
            Confirmation::NotRequested => return Err(PublishError::Unconfirmed),
        };
        self.idle().push(channel);
        outcome
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn usable(&self) -> Result<Arc<Session>, PublishError> {
        let session = self.session().ok_or(PublishError::NotConnected)?;
        if session.connection.status().blocked() { Err(PublishError::Blocked) } else { Ok(session) }
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.session.borrow().as_ref().filter(|session| session.connection.status().connected()).cloned()
    }

    async fn keep_connected(self: Arc<Self>, ids: Arc<dyn IdSource>) {
        let mut backoff = Backoff::new("publisher".into(), ids);
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                () = self.stop.cancelled() => return,
                opened = timeout(self.settings.connect_timeout(), self.open()) => opened.unwrap_or(Err(LinkError::Timeout)),
            };
            let (error, held) = match opened {
                Ok(session) => {
                    tracing::info!(connection = "publisher", "connected to the broker");
                    let since = Instant::now();
                    let session = Arc::new(session);
                    self.session.send_replace(Some(Arc::clone(&session)));
                    let error = tokio::select! {
                        () = link::down(&session.connection) => LinkError::GivenUp("it is down".into()),
                        () = session.given_up.cancelled() => LinkError::GivenUp("a publish failed on it".into()),
                        () = self.stop.cancelled() => LinkError::GivenUp("stopped".into()),
                    };
                    let held = since.elapsed();
                    // Nobody can begin on it any more; those who have begun get an error and publish again.
                    self.session.send_replace(None);
                    link::close(&session.connection).await;
                    (error, held)
                }
                Err(error) => (error, Duration::ZERO),
            };
            if !self.stop.is_cancelled() {
                backoff.failed(&error, held, &self.stop).await;
            }
        }
    }

    async fn open(&self) -> Result<Session, LinkError> {
        let connection = link::connect(&self.settings, &format!("{} publisher", self.settings.prefix)).await?;
        let channel = connection.create_channel().await?;
        self.topology.declare_exchanges(&channel).await?;
        for spec in &self.consumers {
            self.topology.declare_consumer(&channel, spec).await?;
        }
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Session { connection, idle: Mutex::new(vec![channel]), given_up: CancellationToken::new() })
    }

    async fn ask_depths(&self, connection: &Connection) -> Result<Vec<QueueDepth>, lapin::Error> {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let mut depths = Vec::new();
        let mut channel = connection.create_channel().await?;
        for queue in self.consumers.iter().flat_map(|spec| self.topology.queues(spec.name)) {
            match channel.queue_declare(short(&queue), passive, FieldTable::default()).await {
                Ok(found) => {
                    let (messages, consumers) = (found.message_count(), found.consumer_count());
                    depths.push(QueueDepth { queue, messages, consumers });
                }
                // A missing queue closes the channel, not the connection.
                Err(error) if error.is_amqp_soft_error() => channel = connection.create_channel().await?,
                Err(error) => return Err(error),
            }
        }
        // Not awaited by anyone, but refused only when the connection is down as well.
        let _ = channel.close(200, short("bye")).await;
        Ok(depths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowd_of_ours_is_no_silence_of_the_broker() {
        let (places, patience) = (Semaphore::new(1), Duration::from_millis(50));
        let first = turn(&places, patience).await.unwrap();
        let crowded = turn(&places, patience).await.unwrap_err();
        assert!(matches!(crowded, PublishError::Busy) && !crowded.ends_session(false), "{crowded}");
        drop(first);
        assert!(turn(&places, patience).await.is_ok());
        assert!(PublishError::TimedOut.ends_session(false) && !PublishError::TimedOut.ends_session(true));
    }
}
