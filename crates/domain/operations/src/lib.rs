//! What a person must look at: dead letters and review cases.
//!
//! A **dead letter** is work that no try helped: an event its consumer could not handle, a mail, a call of a gateway. It is
//! kept with what it was, what went wrong and how often, until somebody requeues it or gives a reason to discard it
//! ([`model::LetterState`]). A requeued event goes to its consumer alone; the inbox there makes a second copy harmless.
//!
//! A **review case** is what a saga could not finish: another domain announces `<domain>.review_needed.v1` with the choices
//! there are, somebody picks one, and `review.resolved.v1` tells the domain to carry it out. A case is never just closed, and a
//! choice that moves much money needs a second person ([`model::ApprovalLimits`]). What came about by itself the domain takes back
//! with `<domain>.review_withdrawn.v1`.
//!
//! The crate decides; what it needs from the world it names as [`ports`]. To add a source of dead letters: a
//! [`DeadSource`](amrutam_kernel::DeadSource), a [`GivenUp`](amrutam_kernel::GivenUp) in the effects that give the work up,
//! and how it is made due again, in the store's commit or on [`LETTER_REQUEUED`]. To add a kind of review: announce it.
//!
//! ```
//! use amrutam_operations::model::{LetterAct, LetterState};
//!
//! let requeued = LetterState::Dead.after(LetterAct::Requeue)?;
//! assert_eq!(requeued, LetterState::Requeued);
//! assert!(requeued.after(LetterAct::Discard).is_err(), "it is on its way");
//! # Ok::<(), amrutam_operations::model::InvalidTransition>(())
//! ```
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod events;
pub mod model;
mod personal;
pub mod ports;
pub mod use_cases;

pub use error::{LetterError, OpenError, ReviewError};
pub use events::{
    LETTER_REQUEUED, MalformedReview, REVIEW_RESOLVED, REVIEWS_BINDINGS, REVIEWS_CONSUMER, is_withdrawal,
};
