//! One file per verb.

mod discard;
mod open_review;
mod permit;
mod read_letters;
mod read_reviews;
mod requeue;
mod resolve;
mod settle;
mod take;
mod withdraw_review;

pub use amrutam_kernel::Idempotent;
pub use discard::discard;
pub use open_review::open_review;
pub use read_letters::{SeenLetter, list_letters, open_payload, read_letter};
pub use read_reviews::{SeenReview, list_reviews, read_review};
pub use requeue::requeue;
pub use resolve::{Resolve, resolve};
pub use settle::settle;
pub use take::take;
pub use withdraw_review::withdraw_review;

use crate::{
    model::ApprovalLimits,
    ports::{DeadLetterStore, ReviewStore, VisitHistory},
};
use amrutam_kernel::{Clock, IdSource, Pause, Policy, Sealer};

/// How often a commit that met a change is decided anew before the caller is asked to come back.
const MAX_COMMITS: u32 = 10;

/// What the use cases of this domain work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Dead letters.
    pub letters: &'a dyn DeadLetterStore,
    /// Review cases.
    pub reviews: &'a dyn ReviewStore,
    /// What happened to visits.
    pub history: &'a dyn VisitHistory,
    /// Seals notes, and bodies that nobody can read.
    pub sealer: &'a dyn Sealer,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
    /// Waiting.
    pub pause: &'a dyn Pause,
    /// When one person is not enough.
    pub limits: &'a ApprovalLimits,
}
