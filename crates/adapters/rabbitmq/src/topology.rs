//! Exchanges and queues: their names, their arguments, their declaration.

use amrutam_kernel::{EventHandler, RetryPolicy};
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::time::Duration;

pub(crate) const LADDER: RetryPolicy = RetryPolicy::STANDARD;

/// A backstop for a message that never even reaches the handler's count. Far above the ladder, because the broker also
/// counts deliveries of neighbours that were only prefetched.
const DELIVERY_LIMIT: i64 = 20;

/// A consumer's name and what it listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// [`EventHandler::consumer`].
    pub name: &'static str,
    /// [`EventHandler::bindings`].
    pub bindings: &'static [&'static str],
    /// [`EventHandler::retired_bindings`].
    pub retired: &'static [&'static str],
}

impl ConsumerSpec {
    /// The handler's.
    pub fn of(handler: &dyn EventHandler) -> Self {
        Self { name: handler.consumer(), bindings: handler.bindings(), retired: handler.retired_bindings() }
    }
}

/// The names of everything declared.
#[derive(Debug, Clone)]
pub struct Topology {
    prefix: String,
}

impl Topology {
    /// Names that begin with `prefix`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The topic exchange of events.
    pub fn events_exchange(&self) -> String {
        format!("{}.events", self.prefix)
    }

    /// The direct exchange of dead letters; their routing key is the work queue's name.
    pub fn dead_exchange(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// A consumer's work queue.
    pub fn work_queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.prefix)
    }

    /// A consumer's dead letters.
    pub fn dead_queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}.dead", self.prefix)
    }

    /// Where a consumer's messages wait for at most `bound`.
    pub fn retry_queue(&self, consumer: &str, bound: Duration) -> String {
        format!("{}.{consumer}.retry.{}", self.prefix, bound.as_millis())
    }

    /// All queues of a consumer: work, dead letters, the ladder's steps.
    pub fn queues(&self, consumer: &str) -> Vec<String> {
        let steps = bounds().map(|bound| self.retry_queue(consumer, bound));
        [self.work_queue(consumer), self.dead_queue(consumer)].into_iter().chain(steps).collect()
    }

    pub(crate) async fn declare_exchanges(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        for (name, kind) in
            [(self.events_exchange(), ExchangeKind::Topic), (self.dead_exchange(), ExchangeKind::Direct)]
        {
            channel.exchange_declare(short(&name), kind, durable, FieldTable::default()).await?;
        }
        Ok(())
    }

    /// Declares a consumer's queues and bindings. What exists already is left as it is; arguments at odds with it are an
    /// error of the broker. New bindings come before old ones go: nothing falls between.
    pub(crate) async fn declare_consumer(&self, channel: &Channel, spec: &ConsumerSpec) -> Result<(), lapin::Error> {
        let work = self.work_queue(spec.name);
        let dead = self.dead_queue(spec.name);
        declare(channel, &dead, quorum()).await?;
        bind(channel, &dead, &self.dead_exchange(), &work).await?;
        for bound in bounds() {
            // The jitter is each message's own expiration, drawn in 0..=bound; a queue expires only at its head, so a
            // message can wait for one before it, but that one leaves within the same bound, too.
            let mut arguments = dead_lettering("", &work);
            let ttl = i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
            arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
            declare(channel, &self.retry_queue(spec.name, bound), arguments).await?;
        }
        let mut arguments = dead_lettering(&self.dead_exchange(), &work);
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        declare(channel, &work, arguments).await?;
        for pattern in spec.bindings {
            bind(channel, &work, &self.events_exchange(), pattern).await?;
        }
        for pattern in spec.retired {
            let (queue, exchange) = (short(&work), short(&self.events_exchange()));
            channel.queue_unbind(queue, exchange, short(pattern), FieldTable::default()).await?;
        }
        Ok(())
    }
}

fn bounds() -> impl Iterator<Item = Duration> {
    (1..=LADDER.max_retries).filter_map(|retry| LADDER.bound(retry))
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn dead_lettering(exchange: &str, routing_key: &str) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    arguments.insert("x-dead-letter-routing-key".into(), text(routing_key));
    // At most once, the default, drops a dead letter whose target is away for a moment. The other needs the overflow.
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// AMQP's names hold 255 bytes at most, and lapin's `From` panics on more.
pub(crate) fn short(value: &str) -> ShortString {
    let end = (0..=value.len().min(255)).rev().find(|&end| value.is_char_boundary(end)).unwrap_or(0);
    ShortString::try_new(value.get(..end).unwrap_or_default()).unwrap_or_default()
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    channel.queue_declare(short(queue), QueueDeclareOptions::durable(), arguments).await.map(|_| ())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    channel
        .queue_bind(short(queue), short(exchange), short(key), QueueBindOptions::default(), FieldTable::default())
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_where_a_character_ends() {
        assert_eq!(short("x").as_str(), "x");
        assert_eq!(short(&"x".repeat(300)).as_str().len(), 255);
        assert_eq!(short(&"é".repeat(200)).as_str().len(), 254);
    }

    #[test]
    fn a_consumer_has_seven_queues() {
        let names = Topology::new("amrutam").queues("reminders");
        assert_eq!(
            names,
            [
                "amrutam.reminders",
                "amrutam.reminders.dead",
                "amrutam.reminders.retry.500",
                "amrutam.reminders.retry.1000",
                "amrutam.reminders.retry.2000",
                "amrutam.reminders.retry.4000",
                "amrutam.reminders.retry.8000",
            ]
        );
    }
}
