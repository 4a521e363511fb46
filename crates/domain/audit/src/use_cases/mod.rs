//! One file per verb.

mod seal;
mod watch;

pub use seal::{BATCH, SealDeps, Sealer};
pub use watch::{WatchDeps, WatchError, watch};
