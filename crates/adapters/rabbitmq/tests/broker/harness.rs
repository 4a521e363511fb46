//! A stand of its own for each test: a prefix, a publisher, consumers, and a connection to look behind the scenes.

use amrutam_kernel::{
    AggregateRef, Clock, DeadLetterOffice, DeadMessage, Dependency, EventEnvelope, EventHandler, EventId, Handled,
    HandlerError, IdSource, PortError, RedeliveryLedger,
};
use amrutam_rabbitmq::{ConsumerSpec, Consumers, Parts, Publisher, Settings, Topology};
use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueDeleteOptions},
    types::AMQPValue,
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const BINDINGS: &[&str] = &["consultation.*.v1"];
pub(crate) const EVENT: &str = "consultation.requested.v1";
/// For what must happen. Generous: the machine may be building.
pub(crate) const SOON: Duration = Duration::from_secs(20);

static STANDS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "these tests run in real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Where the jitter falls.
#[derive(Clone, Copy)]
pub(crate) enum Jitter {
    None,
    Most,
    Random,
}

impl IdSource for Jitter {
    fn uuid_v7(&self, _: Timestamp) -> Uuid {
        Uuid::from_u64_pair(random(), random())
    }

    fn below(&self, bound: u64) -> u64 {
        match self {
            Self::None => 0,
            Self::Most => bound.saturating_sub(1),
            Self::Random => random().checked_rem(bound).unwrap_or(0),
        }
    }
}

pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) counts: Mutex<HashMap<EventId, u32>>,
}

#[async_trait]
impl RedeliveryLedger for Ledger {
    async fn begin(&self, _: &str, event: EventId) -> Result<u32, PortError> {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(event).or_default();
        *count += 1;
        Ok(*count)
    }
}

/// Remembers what it is told; refuses as often as the test says.
#[derive(Default)]
pub(crate) struct Office {
    pub(crate) taken: Mutex<Vec<DeadMessage>>,
    pub(crate) settled: Mutex<Vec<EventId>>,
    pub(crate) refusals: AtomicU32,
}

impl Office {
    fn refuses(&self) -> Result<(), PortError> {
        let left = self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Err(PortError::unavailable(Dependency::Database, "told to refuse")) } else { Ok(()) }
    }
}

#[async_trait]
impl DeadLetterOffice for Office {
    async fn take(&self, dead: DeadMessage) -> Result<(), PortError> {
        self.refuses()?;
        self.taken.lock().unwrap().push(dead);
        Ok(())
    }

    async fn settle(&self, _: &str, event: EventId) -> Result<(), PortError> {
        self.refuses()?;
        self.settled.lock().unwrap().push(event);
        Ok(())
    }
}

pub(crate) type Answer = Result<Handled, HandlerError>;
type Script = dyn Fn(EventEnvelope, usize) -> BoxFuture<'static, Answer> + Send + Sync;

/// Does what the test says, and notes when it began on what. The script gets the number of beginnings on the event so far.
pub(crate) struct Scripted {
    script: Box<Script>,
    pub(crate) begun: Mutex<Vec<(Instant, EventEnvelope)>>,
}

impl Scripted {
    pub(crate) fn new<F: Future<Output = Answer> + Send + 'static>(
        script: impl Fn(EventEnvelope, usize) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { script: Box::new(move |event, n| script(event, n).boxed()), begun: Mutex::default() })
    }

    pub(crate) fn times(&self, id: EventId) -> Vec<Instant> {
        let begun = self.begun.lock().unwrap();
        begun.iter().filter(|(_, event)| event.id == id).map(|(at, _)| *at).collect()
    }
}

#[async_trait]
impl EventHandler for Scripted {
    fn consumer(&self) -> &'static str {
        "subject"
    }

    fn bindings(&self) -> &'static [&'static str] {
        BINDINGS
    }

    async fn handle(&self, event: EventEnvelope) -> Answer {
        let begun = self.times(event.id).len();
        self.begun.lock().unwrap().push((Instant::now(), event.clone()));
        (self.script)(event, begun).await
    }
}

pub(crate) struct Stand {
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) publisher: Publisher,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) office: Arc<Office>,
    pub(crate) admin: Connection,
    pub(crate) stop: CancellationToken,
    jitter: Jitter,
}

fn url() -> String {
    std::env::var("AMQP_URL").expect("AMQP_URL is not set; start a broker with infra/dev/servers and set its variables")
}

fn settings(url: &str) -> Settings {
    let mut settings = Settings::new(url.parse().unwrap());
    settings.prefix = format!("test-{}-{}", std::process::id(), STANDS.fetch_add(1, Ordering::Relaxed));
    settings
}

/// Runs a test on a stand of its own and removes what it declared, also when the test fails.
pub(crate) async fn on_stand<F: Future<Output = ()>>(
    jitter: Jitter,
    change: impl FnOnce(&mut Settings),
    test: impl FnOnce(Arc<Stand>) -> F,
) {
    on_stand_at(&url(), jitter, change, test).await;
}

/// At a broker of the test's own.
pub(crate) async fn on_stand_at<F: Future<Output = ()>>(
    url: &str,
    jitter: Jitter,
    change: impl FnOnce(&mut Settings),
    test: impl FnOnce(Arc<Stand>) -> F,
) {
    let mut settings = settings(url);
    change(&mut settings);
    let spec = ConsumerSpec { name: "subject", bindings: BINDINGS, retired: &[] };
    let publisher = Publisher::start(&settings, vec![spec], Arc::new(jitter));
    assert!(publisher.ready(SOON).await, "no connection to the broker");
    let stand = Arc::new(Stand {
        topology: Topology::new(settings.prefix.clone()),
        admin: Connection::connect(url, ConnectionProperties::default()).await.unwrap(),
        ledger: Arc::default(),
        office: Arc::default(),
        stop: CancellationToken::new(),
        settings,
        publisher,
        jitter,
    });
    let outcome = AssertUnwindSafe(test(Arc::clone(&stand))).catch_unwind().await;
    stand.stop.cancel();
    stand.publisher.close().await;
    stand.clean_up().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) struct Dead {
    pub(crate) delivery: Delivery,
}

impl Dead {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        match self.delivery.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::LongLongInt(n) => Some(n.to_string()),
            other => Some(format!("{other:?}")),
        }
    }
}

impl Stand {
    pub(crate) fn consume(&self, handler: &Arc<Scripted>) -> Consumers {
        let handler: Arc<dyn EventHandler> = Arc::clone(handler) as Arc<dyn EventHandler>;
        Consumers::start(&self.settings, vec![handler], &self.parts(), &self.stop)
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts {
            publisher: self.publisher.clone(),
            ledger: Arc::clone(&self.ledger) as Arc<dyn RedeliveryLedger>,
            office: Arc::clone(&self.office) as Arc<dyn DeadLetterOffice>,
            clock: Arc::new(SystemClock),
            ids: Arc::new(self.jitter),
        }
    }

    pub(crate) async fn take(&self, queue: &str) -> Option<Delivery> {
        let channel = self.admin.create_channel().await.unwrap();
        let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()?;
        got.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        Some(got.delivery)
    }

    pub(crate) async fn wait_for(&self, queue: &str) -> Delivery {
        let until = Instant::now() + SOON;
        loop {
            if let Some(delivery) = self.take(queue).await {
                return delivery;
            }
            assert!(Instant::now() < until, "nothing came to {queue}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn dead_letter(&self) -> Dead {
        Dead { delivery: self.wait_for(&self.topology.dead_queue("subject")).await }
    }

    pub(crate) async fn publish_raw(&self, body: &[u8]) {
        let channel = self.admin.create_channel().await.unwrap();
        let exchange = self.topology.events_exchange().as_str().into();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let confirm = channel.basic_publish(exchange, EVENT.into(), options, body, properties);
        confirm.await.unwrap().await.unwrap();
    }

    /// Puts a dead letter back into its work queue, marked as delivered before.
    pub(crate) async fn move_back(&self, dead: &Dead) {
        let channel = self.admin.create_channel().await.unwrap();
        let mut headers = dead.delivery.properties.headers().clone().unwrap();
        headers.insert("x-delivery-count".into(), AMQPValue::LongInt(1));
        let properties = dead.delivery.properties.clone().with_headers(headers);
        let queue = self.topology.work_queue("subject").as_str().into();
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish("".into(), queue, options, &dead.delivery.data, properties);
        confirm.await.unwrap().await.unwrap();
    }

    /// Takes `count` messages as a process does that dies without acknowledging them: they come back redelivered.
    pub(crate) async fn take_and_die(&self, count: usize) {
        let queue = self.topology.work_queue("subject");
        let doomed = Connection::connect(self.settings.url.expose(), ConnectionProperties::default()).await.unwrap();
        let channel = doomed.create_channel().await.unwrap();
        let until = Instant::now() + SOON;
        let mut taken = 0;
        while taken < count {
            assert!(Instant::now() < until, "only {taken} messages came");
            match channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap() {
                Some(_) => taken += 1,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        doomed.close(200, "died".into()).await.unwrap();
    }

    async fn clean_up(&self) {
        // The other connection may have gone with its broker.
        let admin = Connection::connect(self.settings.url.expose(), ConnectionProperties::default()).await.unwrap();
        let channel = admin.create_channel().await.unwrap();
        for queue in self.topology.queues("subject") {
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in [self.topology.events_exchange(), self.topology.dead_exchange()] {
            channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
        admin.close(200, "bye".into()).await.unwrap();
    }
}

pub(crate) fn event() -> EventEnvelope {
    event_of(Uuid::from_u64_pair(random(), random()), 1)
}

pub(crate) fn event_of(aggregate: Uuid, version: i64) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u64_pair(random(), random())),
        event_type: EVENT.into(),
        aggregate: AggregateRef { kind: "consultation".into(), id: aggregate, version },
        occurred_at: "2026-03-01T10:00:00.123456Z".parse().unwrap(),
        actor: "system:test".into(),
        correlation_id: "flow-1".parse().unwrap(),
        trace_parent: None,
        payload: serde_json::json!({ "slot_id": "s" }),
    }
}

/// Waits until `holds`.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
