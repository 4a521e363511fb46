//! The broker, from behind.

use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

/// Every queue that a prefix stands for.
pub fn queues(prefix: &str) -> Vec<String> {
    amrutam_rabbitmq::Topology::new(prefix).queues(amrutam_notifications::CONSUMER)
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
