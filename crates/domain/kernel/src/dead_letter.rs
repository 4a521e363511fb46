//! What no try helped: how it is handed over to whoever keeps it for a person to look at.

use crate::{CorrelationId, DeadLetterId, EventEnvelope, EventId, PortError};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};
use uuid::Uuid;

/// What kind of work it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadSource {
    /// An event that its consumer could not handle.
    Event,
    /// A message to a person that could not be sent.
    Message,
    /// A call of a payment gateway that could not be made.
    GatewayTask,
}

impl DeadSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Event, Self::Message, Self::GatewayTask];

    /// The word in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Message => "message",
            Self::GatewayTask => "gateway_task",
        }
    }
}

impl fmt::Display for DeadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of event, message, gateway_task")]
pub struct UnknownSource;

impl FromStr for DeadSource {
    type Err = UnknownSource;
    fn from_str(word: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == word).ok_or(UnknownSource)
    }
}

/// A task of ours in the database that used up its tries: it becomes a dead letter in the transaction that gives it up.
///
/// When it was requeued and dies again, it is the same dead letter as before, known by source, consumer and subject.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// The dead letter's, when there is none yet.
    pub id: DeadLetterId,
    /// What kind of work it was. Events come through [`DeadLetterOffice`].
    pub source: DeadSource,
    /// Whose work it was: a fixed name as in metrics, `[a-z0-9-]+`.
    pub consumer: &'static str,
    /// The message's or task's id.
    pub subject: Uuid,
    /// Its kind: `reminder_1h`, `refund`.
    pub kind: String,
    /// What it was about: ids and codes only, like an event's payload.
    pub payload: serde_json::Value,
    /// What went wrong last: codes and ids, no personal data.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// When it failed first, where that is known.
    pub first_failed_at: Option<Timestamp>,
    /// When it was given up.
    pub at: Timestamp,
}

/// To whom an event goes again, and for which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requeue {
    /// The consumer.
    pub consumer: String,
    /// Which requeue it is, from 1. It travels with the message: a copy that dies tells in which of its lives it did.
    pub number: u32,
    /// How many beginnings of the redelivery ledger are accounted for already.
    pub redeliveries: u32,
}

/// A message that its consumer has given up, as it lies in the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadMessage {
    /// Whose it was.
    pub consumer: String,
    /// The event; nothing when the body is not one.
    pub event: Option<EventEnvelope>,
    /// As it was sent.
    pub body: Vec<u8>,
    /// Its header fields, as text.
    pub headers: BTreeMap<String, String>,
    /// What went wrong last: codes and ids, no personal data.
    pub error: String,
    /// How often its handling was begun.
    pub attempts: u32,
    /// How many of these the redelivery ledger counted.
    pub redeliveries: u32,
    /// In which life it died: 0 unless it was requeued.
    pub requeue: u32,
    /// When it failed first, where that is known.
    pub first_failed_at: Option<Timestamp>,
}

/// Keeps dead letters, and hears what becomes of those that are requeued.
#[async_trait]
pub trait DeadLetterOffice: Send + Sync {
    /// Takes a dead message over; it is kept durably when this returns. The same death may be told again.
    async fn take(&self, dead: DeadMessage) -> Result<(), PortError>;

    /// Notes that a requeued event was handled in the end. May be told again.
    async fn settle(&self, consumer: &str, event: EventId) -> Result<(), PortError>;
}
