//! One error per use case, saying what the caller can do.

use amrutam_kernel::{CommitError, InvalidId};

/// The event's payload is not what its schema says: trying again will not help.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {event_type} is not what its schema says")]
pub struct MalformedEvent {
    /// Which schema.
    pub event_type: String,
    /// What is wrong; for logs. Payloads carry ids and codes only.
    pub source: MalformedPayload,
}

/// What is wrong with a payload.
#[derive(Debug, thiserror::Error)]
pub enum MalformedPayload {
    /// A field is missing or of another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// An id is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A link is announced without its id.
    #[error("no link_id")]
    NoLink,
}

/// Why an event was not turned into messages.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// For a person to look at.
    #[error(transparent)]
    Malformed(#[from] MalformedEvent),
    /// Try again.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
