//! An event as an AMQP message: its properties and our headers.

use crate::topology::short;
use amrutam_kernel::{DeadMessage, EventEnvelope, Requeue};
use jiff::Timestamp;
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use std::{collections::BTreeMap, time::Duration};

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const AGGREGATE_ID: &str = "x-aggregate-id";
/// Which retry this is, from 1.
pub(crate) const ATTEMPT: &str = "x-attempt";
/// How many beginnings of the redelivery ledger are part of [`ATTEMPT`] already.
pub(crate) const REDELIVERIES: &str = "x-redeliveries";
/// How often a dead letter was begun.
pub(crate) const ATTEMPTS: &str = "x-attempts";
pub(crate) const ERROR: &str = "x-error";
pub(crate) const FIRST_FAILED_AT: &str = "x-first-failed-at";
pub(crate) const ORIGINAL_ROUTING_KEY: &str = "x-original-routing-key";
/// In which life the message is: absent in its first, then the number of its requeue.
pub(crate) const REQUEUE: &str = "x-requeue";
/// The broker's: how often it came back unacknowledged, and why the broker itself buried it.
const DELIVERY_COUNT: &str = "x-delivery-count";
const FIRST_DEATH_REASON: &str = "x-first-death-reason";
/// What of a dead message's header fields is kept with it. Others are nobody's: they may say anything.
const KEPT: [&str; 10] = [
    TRACEPARENT,
    AGGREGATE_ID,
    ATTEMPT,
    ATTEMPTS,
    REDELIVERIES,
    FIRST_FAILED_AT,
    ORIGINAL_ROUTING_KEY,
    REQUEUE,
    DELIVERY_COUNT,
    FIRST_DEATH_REASON,
];

const PERSISTENT: u8 = 2;

pub(crate) fn of_event(event: &EventEnvelope) -> BasicProperties {
    let mut headers = FieldTable::default();
    put(&mut headers, AGGREGATE_ID, &event.aggregate.id.hyphenated());
    if let Some(parent) = &event.trace_parent {
        put(&mut headers, TRACEPARENT, &parent.0);
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(short(&event.id.to_string()))
        .with_type(short(&event.event_type))
        .with_correlation_id(short(event.correlation_id.as_str()))
        .with_timestamp(u64::try_from(event.occurred_at.as_second()).unwrap_or(0))
        .with_headers(headers)
}

/// An event for one consumer alone, which begins with it afresh.
pub(crate) fn of_requeue(event: &EventEnvelope, to: &Requeue) -> BasicProperties {
    let properties = of_event(event);
    let mut headers = properties.headers().clone().unwrap_or_default();
    put(&mut headers, ORIGINAL_ROUTING_KEY, &event.event_type);
    put_number(&mut headers, REQUEUE, to.number);
    put_number(&mut headers, REDELIVERIES, to.redeliveries);
    properties.with_headers(headers)
}

/// What lies in a consumer's dead letters.
pub(crate) fn dead(consumer: &str, delivery: &Delivery) -> DeadMessage {
    let number = |name| header(delivery, name).and_then(integer).and_then(|n| u32::try_from(n).ok());
    let text = |value: &AMQPValue| string(value).or_else(|| integer(value).map(|n| n.to_string()));
    let kept = KEPT.into_iter().filter_map(|name| Some((name.to_owned(), text(header(delivery, name)?)?)));
    let event: Option<EventEnvelope> = serde_json::from_slice(&delivery.data).ok();
    let error = header(delivery, ERROR).and_then(string).unwrap_or_else(|| {
        // Not by our hand.
        let reason = header(delivery, FIRST_DEATH_REASON).and_then(string);
        format!("buried by the broker: {}", reason.as_deref().unwrap_or("it does not say why"))
    });
    DeadMessage {
        consumer: consumer.to_owned(),
        event,
        body: delivery.data.clone(),
        headers: kept.collect::<BTreeMap<_, _>>(),
        error,
        attempts: number(ATTEMPTS).or_else(|| number(DELIVERY_COUNT)).unwrap_or(0),
        redeliveries: number(REDELIVERIES).unwrap_or(0),
        requeue: number(REQUEUE).unwrap_or(0),
        first_failed_at: header(delivery, FIRST_FAILED_AT).and_then(string).and_then(|text| text.parse().ok()),
    }
}

/// What a delivery's headers tell of earlier attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) retry: u32,
    pub(crate) redeliveries_counted: u32,
    pub(crate) redelivered: bool,
    pub(crate) requeued: bool,
    first_failed_at: Option<String>,
    original_routing_key: String,
}

impl History {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let number = |name| header(delivery, name).and_then(integer).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        Self {
            retry: number(ATTEMPT),
            redeliveries_counted: number(REDELIVERIES),
            redelivered: delivery.redelivered || number(DELIVERY_COUNT) > 0,
            requeued: number(REQUEUE) > 0,
            first_failed_at: header(delivery, FIRST_FAILED_AT).and_then(string),
            original_routing_key: header(delivery, ORIGINAL_ROUTING_KEY)
                .and_then(string)
                .unwrap_or_else(|| delivery.routing_key.to_string()),
        }
    }
}

pub(crate) fn traceparent(delivery: &Delivery) -> Option<String> {
    header(delivery, TRACEPARENT).and_then(string)
}

/// The message for retry number `retry`, to wait for `delay`.
pub(crate) fn for_retry(
    delivery: &Delivery,
    history: &History,
    failure: &Failure<'_>,
    retry: u32,
    redeliveries: u32,
    delay: Duration,
) -> BasicProperties {
    let mut headers = failed(delivery, history, failure);
    put_number(&mut headers, ATTEMPT, retry);
    put_number(&mut headers, REDELIVERIES, redeliveries);
    copied(delivery).with_headers(headers).with_expiration(short(&delay.as_millis().to_string()))
}

/// The dead letter of a message begun `attempts` times, `redeliveries` of them by the ledger.
pub(crate) fn for_dead(
    delivery: &Delivery,
    history: &History,
    failure: &Failure<'_>,
    attempts: u32,
    redeliveries: u32,
) -> BasicProperties {
    let mut headers = failed(delivery, history, failure);
    put_number(&mut headers, ATTEMPTS, attempts);
    // Moved back by an operator it begins afresh; the ledger goes on counting from here.
    put_number(&mut headers, REDELIVERIES, redeliveries);
    copied(delivery).with_headers(headers)
}

/// Why, and when it is.
pub(crate) struct Failure<'a> {
    pub(crate) reason: &'a str,
    pub(crate) now: Timestamp,
}

fn copied(delivery: &Delivery) -> BasicProperties {
    let from = &delivery.properties;
    let mut to = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(value) = from.content_type() {
        to = to.with_content_type(value.clone());
    }
    if let Some(value) = from.message_id() {
        to = to.with_message_id(value.clone());
    }
    if let Some(value) = from.kind() {
        to = to.with_type(value.clone());
    }
    if let Some(value) = from.correlation_id() {
        to = to.with_correlation_id(value.clone());
    }
    if let Some(value) = from.timestamp() {
        to = to.with_timestamp(*value);
    }
    to
}

fn failed(delivery: &Delivery, history: &History, failure: &Failure<'_>) -> FieldTable {
    let mut headers = FieldTable::default();
    for name in [TRACEPARENT, AGGREGATE_ID, REQUEUE] {
        if let Some(value) = header(delivery, name) {
            headers.insert(short(name), value.clone());
        }
    }
    put(&mut headers, ERROR, &one_line(failure.reason));
    put(&mut headers, FIRST_FAILED_AT, history.first_failed_at.as_ref().unwrap_or(&failure.now.to_string()));
    put(&mut headers, ORIGINAL_ROUTING_KEY, &history.original_routing_key);
    headers
}

/// A header must fit into one frame together with all others.
fn one_line(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn put(headers: &mut FieldTable, name: &str, value: &(impl ToString + ?Sized)) {
    headers.insert(short(name), AMQPValue::LongString(value.to_string().into()));
}

fn put_number(headers: &mut FieldTable, name: &str, value: u32) {
    headers.insert(short(name), AMQPValue::LongLongInt(i64::from(value)));
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

fn string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Brokers and operators' tools choose their own widths.
fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(headers: FieldTable) -> Delivery {
        let mut delivery = Delivery::mock(1, "e".into(), "consultation.requested.v1".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(headers).with_message_id("id".into());
        delivery
    }

    #[test]
    fn a_failure_keeps_its_first_time_and_key_and_loses_foreign_headers() {
        let mut headers = FieldTable::default();
        put(&mut headers, "x-foreign", "f");
        put(&mut headers, TRACEPARENT, "t");
        let first = delivery(headers);
        let history = History::of(&first);
        assert_eq!((history.retry, history.redelivered), (0, false));
        let at = |text: &str| Failure { reason: "a\nb", now: text.parse().unwrap() };
        let delay = Duration::from_millis(7);
        let retry = for_retry(&first, &history, &at("2026-01-01T00:00:00Z"), 1, 0, delay);
        assert_eq!(retry.expiration().as_ref().unwrap().as_str(), "7");
        assert_eq!(retry.message_id().as_ref().unwrap().as_str(), "id");

        let mut second = delivery(retry.headers().clone().unwrap());
        second.routing_key = "amrutam.x".into();
        let history = History::of(&second);
        assert_eq!((history.retry, history.original_routing_key.as_str()), (1, "consultation.requested.v1"));
        let dead = for_dead(&second, &history, &at("2026-01-02T00:00:00Z"), 6, 4);
        let dead = delivery(dead.headers().clone().unwrap());
        assert_eq!((History::of(&dead).retry, History::of(&dead).redeliveries_counted), (0, 4));
        assert_eq!(header(&dead, FIRST_FAILED_AT).and_then(string).unwrap(), "2026-01-01T00:00:00Z");
        assert_eq!(header(&dead, ERROR).and_then(string).unwrap(), "a b");
        assert_eq!(header(&dead, ATTEMPTS).and_then(integer), Some(6));
        assert_eq!(traceparent(&dead).as_deref(), Some("t"));
        assert!(header(&dead, "x-foreign").is_none() && header(&dead, ATTEMPT).is_none());
    }

    #[test]
    fn a_requeued_message_says_so_until_it_dies_again() {
        let event = EventEnvelope {
            id: amrutam_kernel::EventId::from_uuid(uuid::Uuid::nil()),
            event_type: "consultation.requested.v1".into(),
            aggregate: amrutam_kernel::AggregateRef { kind: "consultation".into(), id: uuid::Uuid::nil(), version: 1 },
            occurred_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            actor: "system:test".into(),
            correlation_id: "flow".parse().unwrap(),
            trace_parent: None,
            payload: serde_json::json!({}),
        };
        let to = Requeue { consumer: "subject".into(), number: 2, redeliveries: 3 };
        let mut first = delivery(of_requeue(&event, &to).headers().clone().unwrap());
        first.routing_key = "amrutam.subject".into();
        let history = History::of(&first);
        assert!(history.requeued && !history.redelivered);
        assert_eq!((history.retry, history.redeliveries_counted), (0, 3));
        assert_eq!(history.original_routing_key, "consultation.requested.v1");

        let failure = Failure { reason: "no", now: "2026-01-02T00:00:00Z".parse().unwrap() };
        let properties = for_retry(&first, &history, &failure, 1, 3, Duration::from_millis(7));
        let second = delivery(properties.headers().clone().unwrap());
        assert!(History::of(&second).requeued);
        let properties = for_dead(&second, &History::of(&second), &failure, 6, 4);
        let mut last = delivery(properties.headers().clone().unwrap());
        last.data = serde_json::to_vec(&event).unwrap();
        let dead = dead("subject", &last);
        assert_eq!((dead.requeue, dead.attempts, dead.redeliveries), (2, 6, 4));
        assert_eq!((dead.error.as_str(), dead.event), ("no", Some(event)));
        assert_eq!(dead.first_failed_at, Some(failure.now));
        assert_eq!(dead.headers[ORIGINAL_ROUTING_KEY], "consultation.requested.v1");
    }

    #[test]
    fn a_message_that_the_broker_buried_is_read_as_far_as_it_goes() {
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongInt(21));
        put(&mut headers, "x-first-death-reason", "delivery_limit");
        put(&mut headers, "x-patient", "somebody");
        let mut buried = delivery(headers);
        buried.data = b"{".to_vec();
        let dead = dead("subject", &buried);
        assert_eq!((dead.event, dead.attempts, dead.requeue), (None, 21, 0));
        assert_eq!(dead.error, "buried by the broker: delivery_limit");
        assert!(!dead.headers.contains_key("x-patient"));
    }

    #[test]
    fn a_delivery_count_means_redelivered() {
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongInt(1));
        assert!(History::of(&delivery(headers)).redelivered);
    }
}
