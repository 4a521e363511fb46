//! The broker, from behind.

use super::{SOON, Stack, eventually};
use amrutam_kernel::EventEnvelope;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

/// Who consumes events.
const CONSUMERS: [&str; 6] = [
    amrutam_notifications::CONSUMER,
    amrutam_payments::use_cases::CONSUMER,
    amrutam_booking::use_cases::CONSUMER,
    amrutam_clinical::events::CONSUMER,
    amrutam_privacy::events::CONSUMER,
    amrutam_operations::REVIEWS_CONSUMER,
];

/// Every queue that a prefix stands for.
pub fn queues(prefix: &str) -> Vec<String> {
    let topology = amrutam_rabbitmq::Topology::new(prefix);
    CONSUMERS.iter().flat_map(|consumer| topology.queues(consumer)).collect()
}

/// A connection to the broker of a stack, beside its processes.
pub struct Broker {
    connection: Connection,
    channel: Channel,
    prefix: String,
}

impl Broker {
    pub(crate) async fn connect(url: &str, prefix: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker");
        let channel = connection.create_channel().await.expect("a channel");
        Self { connection, channel, prefix: prefix.to_owned() }
    }

    /// Publishes these bytes as an event of that type.
    pub async fn publish_raw(&self, event_type: &str, body: &[u8]) {
        let exchange = amrutam_rabbitmq::Topology::new(self.prefix.as_str()).events_exchange();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (exchange.as_str().into(), event_type.into());
        let confirm = self.channel.basic_publish(exchange, key, options, body, properties).await;
        confirm.expect("published").await.expect("taken");
    }

    /// Publishes an event.
    pub async fn publish(&self, event: &EventEnvelope) {
        self.publish_raw(&event.event_type, &serde_json::to_vec(event).expect("an event")).await;
    }

    /// A queue of the test's own for events of such types; it goes with this connection.
    pub async fn listen(&self, pattern: &str) -> String {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare("".into(), options, FieldTable::default()).await.expect("a queue");
        let name = queue.name().to_string();
        let exchange = amrutam_rabbitmq::Topology::new(self.prefix.as_str()).events_exchange();
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let (queue, exchange) = (name.as_str().into(), exchange.as_str().into());
        self.channel.queue_bind(queue, exchange, pattern.into(), options, arguments).await.expect("bound");
        name
    }

    /// The next event in a queue of the test's own.
    pub async fn next(&self, queue: &str) -> EventEnvelope {
        eventually(&format!("an event comes to {queue}"), SOON, async || self.take(queue).await).await
    }

    /// What lies in a queue of the test's own, if anything does.
    pub async fn take(&self, queue: &str) -> Option<EventEnvelope> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("an answer")?;
        got.delivery.acker.ack(BasicAckOptions::default()).await.expect("acknowledged");
        Some(serde_json::from_slice(&got.delivery.data).expect("an event"))
    }

    /// All that has come to a queue of the test's own: each message with its properties, as text.
    pub async fn heard(&self, queue: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(queue.into(), options).await.expect("the broker") {
            let delivery = message.delivery;
            let body = String::from_utf8_lossy(&delivery.data).into_owned();
            heard.push(format!("{} {:?} {body}", delivery.routing_key, delivery.properties));
        }
        heard
    }

    /// How many messages lie in the dead letters of the broker.
    pub async fn dead_letters(&self) -> u32 {
        let topology = amrutam_rabbitmq::Topology::new(self.prefix.as_str());
        let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let mut count = 0;
        for consumer in CONSUMERS {
            let name = topology.dead_queue(consumer);
            let queue = self.channel.queue_declare(name.as_str().into(), look, FieldTable::default()).await;
            count += queue.expect("the dead letters").message_count();
        }
        count
    }

    /// Says goodbye.
    pub async fn close(self) {
        drop(self.connection.close(200, "bye".into()).await);
    }
}

impl Stack {
    /// The broker it works with.
    pub async fn broker(&self) -> Broker {
        Broker::connect(self.amqp_url(), &self.prefix).await
    }
}
