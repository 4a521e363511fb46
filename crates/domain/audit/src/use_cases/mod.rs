//! One file per verb.

mod alert;
mod read;
mod seal;
mod watch;

pub use alert::alert;
pub use read::{
    EXPORT, InclusionProof, ObjectionReason, ReadDeps, access_log, checkpoints, export, object, prove,
    prove_consistency, search,
};
pub use seal::{BATCH, SealDeps, Sealer};
pub use watch::{WatchDeps, WatchError, watch};
