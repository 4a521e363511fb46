//! One file per verb.

mod permit;
mod renew;
mod retire_kek;
mod rewrap;
mod shred;
mod status;

pub use renew::renew;
pub use retire_kek::retire_kek;
pub use rewrap::{Rewrapped, rewrap};
pub use shred::{shred, shred_unless_kept};
pub use status::{KekStatus, status};

use crate::ports::{KeyStore, Records};
use amrutam_kernel::{Clock, IdSource, Policy};

/// What the acts on keys work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Where the data keys are.
    pub store: &'a dyn KeyStore,
    /// What was done is put on the record first.
    pub records: &'a dyn Records,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}
