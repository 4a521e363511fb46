//! The broker, from behind.

use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};

/// Every queue that a prefix stands for.
pub fn queues(prefix: &str) -> Vec<String> {
    amrutam_rabbitmq::Topology::new(prefix).queues(amrutam_notifications::CONSUMER)
}

/// Hears every event that is published from now on, beside those for whom they are.
pub struct Tap {
    connection: Connection,
    channel: lapin::Channel,
    queue: lapin::types::ShortString,
}

impl Tap {
    /// On the events of a prefix.
    pub async fn on(url: &str, prefix: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker");
        let channel = connection.create_channel().await.expect("a channel");
        let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), own, FieldTable::default()).await.expect("a queue");
        let (queue, exchange) = (queue.name().clone(), amrutam_rabbitmq::Topology::new(prefix).events_exchange());
        let options = QueueBindOptions::default();
        let bound =
            channel.queue_bind(queue.clone(), exchange.as_str().into(), "#".into(), options, FieldTable::default());
        bound.await.expect("a binding");
        Self { connection, channel, queue }
    }

    /// What it has heard since: each message with its properties, as text.
    pub async fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(self.queue.clone(), options).await.expect("the broker") {
            let delivery = message.delivery;
            let body = String::from_utf8_lossy(&delivery.data).into_owned();
            heard.push(format!("{} {:?} {body}", delivery.routing_key, delivery.properties));
        }
        heard
    }

    /// Leaves.
    pub async fn close(self) {
        drop(self.connection.close(200, "bye".into()).await);
    }
}

/// How many messages lie in the dead letters.
pub(crate) async fn dead_letters(url: &str, prefix: &str) -> u32 {
    drop(rustls::crypto::ring::default_provider().install_default());
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker");
    let channel = connection.create_channel().await.expect("a channel");
    let name = amrutam_rabbitmq::Topology::new(prefix).dead_queue(amrutam_notifications::CONSUMER);
    let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue =
        channel.queue_declare(name.as_str().into(), look, FieldTable::default()).await.expect("the dead letters");
    let count = queue.message_count();
    drop(connection.close(200, "bye".into()).await);
    count
}
