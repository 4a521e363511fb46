//! One error per kind of use case, saying what the caller can do.

use crate::model::InvalidTransition;
use amrutam_kernel::{Denial, HandlerError, PortError, StoredAnswer};

/// Why a payment was not read or changed by a caller.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// Absent, or not this caller's to see.
    #[error("no such payment")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// The money stands where this can't be done.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// The time to pay has passed: the slot is no longer held.
    #[error("the slot is no longer held")]
    HoldEnded,
    /// The visit can't be called off (any more): there is nothing to preview.
    #[error("the visit can't be cancelled")]
    NotCancellable,
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

impl From<Denial> for PaymentError {
    /// What is hidden from the caller can't be told from what does not exist.
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Hidden => Self::NotFound,
            told => Self::Denied(told),
        }
    }
}

/// Why news (an event, a notification, a gateway's answer) was not taken over. Nothing of it has been.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// It does not say what it must: no try will succeed.
    #[error("the news lacks or garbles {0}")]
    Malformed(&'static str),
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<NewsError> for HandlerError {
    fn from(error: NewsError) -> Self {
        match error {
            NewsError::Malformed(_) => Self::Permanent(error.to_string()),
            NewsError::Contended => Self::Retry(error.to_string()),
            NewsError::Port(error) => error.into(),
        }
    }
}
