//! One error per kind of use case, saying what the caller can do.

use crate::{
    MalformedReview,
    model::{InvalidTransition, ReviewRefusal},
};
use amrutam_kernel::{CommitError, Denial, PortError, StoredAnswer};

/// Why a dead letter was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// There is none.
    #[error("no such dead letter")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The state machine has no such arrow.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Its body is no event: no consumer could handle it. It can be discarded.
    #[error("what can't be read can't be requeued")]
    Unreadable,
    /// Answered before; this is the answer.
    #[error("the request has been answered before")]
    Replay(StoredAnswer),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a review case was not read or resolved.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is none.
    #[error("no such review case")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The case refuses it.
    #[error(transparent)]
    Refused(#[from] ReviewRefusal),
    /// Answered before; this is the answer.
    #[error("the request has been answered before")]
    Replay(StoredAnswer),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an event opened no case.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// For a person to look at.
    #[error(transparent)]
    Malformed(#[from] MalformedReview),
    /// Try again.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
