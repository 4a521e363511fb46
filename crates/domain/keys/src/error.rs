//! What can go wrong, and what to do about it.

use crate::model::KekId;
use amrutam_kernel::{Denial, PortError};

/// Why a data key was not unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The provider does not have it, or not any more.
    #[error("there is no key-encryption key {0}")]
    UnknownKek(KekId),
    /// Altered, of another person or version, or wrapped under another key of that name.
    #[error("the wrapped key has been altered or moved")]
    Refused,
    /// The provider could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a person's keys were not destroyed.
#[derive(Debug, thiserror::Error)]
pub enum ShredError {
    /// Not by this actor.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Until it is lifted.
    #[error(
        "a legal hold keeps what is sealed of this person, or of the account that keeps them: nothing was destroyed"
    )]
    OnHold,
    /// Nothing of theirs is to be destroyed yet.
    #[error("no erasure of this person is due: their record is kept")]
    NotDue,
    /// It may be tried again: destroying twice is destroying once.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a key-encryption key was not retired.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// Not by this actor.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It is the one that wraps now: rotate first.
    #[error("{0} wraps data keys: rotate, and wait until the next key is in use")]
    InUse(KekId),
    /// Wait until the workers have wrapped them anew.
    #[error("{keys} data keys are wrapped under {kek}: the workers wrap them anew")]
    Wraps {
        /// Which.
        kek: KekId,
        /// How many.
        keys: u64,
    },
    /// The store could not be used.
    #[error(transparent)]
    Port(#[from] PortError),
}
