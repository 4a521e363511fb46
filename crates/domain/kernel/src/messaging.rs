//! Events on the move: what announces them, what handles them, who counts the handlers' crashes.

use crate::{EventEnvelope, EventId, PortError, Requeue};
use async_trait::async_trait;

/// Announces events to whoever listens.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Returns when the broker has taken responsibility for the event in every queue bound to its type. After an error
    /// it may still have been published: publish again, consumers deduplicate by the event's id.
    async fn publish(&self, event: &EventEnvelope) -> Result<(), PortError>;

    /// As [`EventPublisher::publish`], to one consumer alone, which begins with it afresh.
    async fn requeue(&self, event: &EventEnvelope, to: &Requeue) -> Result<(), PortError>;
}

/// One consumer of events.
///
/// Events arrive at least once. In one process those of one aggregate never run in parallel and run in order of
/// arrival, but a retried event is overtaken by later ones, and a second process handles its own share at the same time:
/// a handler that needs an order takes it from the aggregate's version.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// The fixed name under which its queues and its inbox are known: `[a-z0-9-]+`.
    fn consumer(&self) -> &'static str;
    /// Which event types it gets, as AMQP topic patterns: `consultation.*.v1`.
    fn bindings(&self) -> &'static [&'static str];
    /// Patterns it once listened to and does no more: its queue is unbound from them.
    fn retired_bindings(&self) -> &'static [&'static str] {
        &[]
    }
    /// Handles one event. The effect and the [`crate::InboxMark`] are committed when this returns `Ok`. The future may be
    /// dropped at any await when it takes too long; the event then comes again.
    async fn handle(&self, event: EventEnvelope) -> Result<Handled, HandlerError>;
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// Its effect is committed.
    Applied,
    /// It was handled before; nothing was done.
    Duplicate,
    /// It is none of this consumer's business.
    Ignored,
}

/// Why an event was not handled. The text is stored with the message and logged: codes and ids, no personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// Worth another try later; one of a few.
    #[error("to be tried again: {0}")]
    Retry(String),
    /// What the handler needs is away. That is no fault of the event: it comes again as often as needed.
    #[error("to wait for what it needs: {0}")]
    Unavailable(String),
    /// No try will succeed: to the dead letters at once.
    #[error("for good: {0}")]
    Permanent(String),
}

impl From<PortError> for HandlerError {
    /// A defect is tried again as well: it may be mended, or be gone with another instance, before the tries are used up.
    fn from(error: PortError) -> Self {
        let text = format!("{error}: {}", error.reason());
        match error {
            PortError::Unavailable { .. } => Self::Unavailable(text),
            PortError::Defect { .. } => Self::Retry(text),
        }
    }
}

/// Counts how often a redelivered event was begun.
///
/// A broker redelivers what a process took and never acknowledged, because the process died or lost its connection. An
/// event that kills its process would come back for ever; one that is only prefetched beside it must not be blamed. So the
/// count is taken when handling begins, and only for messages that arrive redelivered: a first delivery costs no write.
#[async_trait]
pub trait RedeliveryLedger: Send + Sync {
    /// Notes, durably and before the handler runs, that `consumer` begins on the redelivered `event`. Gives the number of
    /// such beginnings, this one included.
    async fn begin(&self, consumer: &str, event: EventId) -> Result<u32, PortError>;
}
