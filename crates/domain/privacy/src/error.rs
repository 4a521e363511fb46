//! Why something was not done, saying what the caller can do.

use crate::model::UnderWay;
use amrutam_kernel::{Denial, PortError, StoredAnswer};

/// Why what is held of a person was not gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// There is more than an archive may carry.
    #[error("more is held than fits an archive")]
    TooLarge,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a use case of exports did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Absent, or not this caller's to see; also a link that is none of ours or too old.
    #[error("no such export")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// The archive is not there yet.
    #[error("the archive is being made")]
    NotReady,
    /// The archive was given away, ran out, or was never made: ask for another one.
    #[error("the archive is gone")]
    Gone,
    /// Answered before; this is the answer.
    #[error("the request has been answered before")]
    Replay(StoredAnswer),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Answered before; the answer is still to be read.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<Denial> for ExportError {
    /// What is hidden from the caller can't be told from what does not exist.
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Hidden => Self::NotFound,
            told => Self::Denied(told),
        }
    }
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It is asked for with one's password.
    #[error("the password is wrong")]
    WrongPassword,
    /// A visit takes place: ask again when it is over.
    #[error(transparent)]
    UnderWay(#[from] UnderWay),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an operator erased nothing.
#[derive(Debug, thiserror::Error)]
pub enum EraseAgainError {
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There is no such account, or it is erased.
    #[error("there is no such account, or it is erased")]
    Unknown,
    /// Money may follow from them: that is for those to say who call them off.
    #[error("{0} visits are ahead: an administrator calls them off first")]
    VisitsAhead(usize),
    /// A visit takes place: ask again when it is over.
    #[error(transparent)]
    UnderWay(#[from] UnderWay),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an erasure was not read.
#[derive(Debug, thiserror::Error)]
pub enum ErasureReadError {
    /// Nothing of that account was erased.
    #[error("no such erasure")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a hold was not placed or lifted.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// There is no such hold in force.
    #[error("there is no such hold in force")]
    UnknownHold,
    /// The record's keys are destroyed, or are being destroyed.
    #[error("the record is destroyed already")]
    TooLate,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}
