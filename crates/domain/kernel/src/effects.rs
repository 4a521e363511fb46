//! What every unit of work carries besides its own domain's changes.

use crate::{AuditEntry, Dependency, EventEnvelope, EventId, GivenUp, IdempotencyClaim, PortError, StoredAnswer};

/// A consumer's note that it has handled an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxMark {
    /// The consumer's fixed name.
    pub consumer: &'static str,
    /// The event.
    pub event: EventId,
}

/// Committed together with a domain's changes, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// To be announced, in this order.
    pub events: Vec<EventEnvelope>,
    /// To be put on the record.
    pub audit: Vec<AuditEntry>,
    /// Work of ours that used up its tries, to lie among the dead letters from now on.
    pub given_up: Vec<GivenUp>,
    /// Refuses the commit when the consumer has handled the event before.
    pub inbox: Option<InboxMark>,
    /// Refuses the commit when the claim is already answered.
    pub answer: Option<(IdempotencyClaim, StoredAnswer)>,
}

/// Why a unit of work was not committed. Nothing of it has been.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something read before has changed since: load again and decide again.
    #[error("what the decision was based on has changed")]
    Stale,
    /// Another transaction holds a row this one needs: load again shortly.
    #[error("another transaction is at work on the same rows")]
    Busy,
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// The inbox has the event: there is nothing to do.
    #[error("the event has been handled before")]
    AlreadyHandled,
    /// The store could not be used; whether it committed is unknown.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The result of committing effects alone, for whoever only needs to know that they are on the record: repeated effects are
/// there already; any others that were not committed are not, and nobody may go on as if they were.
pub fn recorded(committed: Result<(), CommitError>) -> Result<(), PortError> {
    match committed {
        Ok(()) | Err(CommitError::AlreadyAnswered | CommitError::AlreadyHandled) => Ok(()),
        Err(CommitError::Port(error)) => Err(error),
        Err(error @ (CommitError::Stale | CommitError::Busy)) => {
            Err(PortError::unavailable(Dependency::Database, error))
        }
    }
}
