//! Why something was not done, in words that say what to do.

use crate::model::{InvalidNote, MissingTile, NotSigned, proof::OutOfRange};
use amrutam_kernel::{Denial, PortError};

/// Why nothing was sealed. Nothing is lost: entries wait.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store could not be used: try again.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Another sealer has taken over: stop, and ask for the lead again.
    #[error("another sealer has taken over")]
    Superseded,
    /// What was stored is not what was taken in. A person must look: nothing is signed until they have.
    #[error("entry {index} was stored otherwise than it was taken in")]
    NotAsTaken {
        /// Where in the log.
        index: u64,
    },
    /// The log is not what its last checkpoint says. A person must look.
    #[error("the log is not what its last checkpoint says: {0}")]
    Broken(String),
}

impl From<MissingTile> for SealError {
    fn from(missing: MissingTile) -> Self {
        Self::Broken(missing.to_string())
    }
}

impl From<InvalidNote> for SealError {
    fn from(invalid: InvalidNote) -> Self {
        Self::Broken(invalid.to_string())
    }
}

impl From<NotSigned> for SealError {
    fn from(not_signed: NotSigned) -> Self {
        Self::Broken(not_signed.to_string())
    }
}

/// Why nothing of the trail is shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not for this caller.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// There is no such entry, or it is not sealed yet.
    #[error("no such entry")]
    NotFound,
    /// There is no such proof.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The objection was raised before.
    #[error("an objection to this entry has been raised before")]
    AlreadyRaised,
    /// The store could not be used.
    #[error(transparent)]
    Port(#[from] PortError),
}
