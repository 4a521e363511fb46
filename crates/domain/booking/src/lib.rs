//! Practitioners, their availability, the slots made of it, and the consultations booked into them.
//!
//! The crate decides; storage, locks and sealing are [`ports`]. Decisions are pure functions in [`model`]; a use case in
//! [`use_cases`] loads a snapshot, asks them, and commits the resulting [`ports::Changes`] in one transaction. When
//! something the decision was based on has changed meanwhile, the commit refuses and the use case decides anew. One window is
//! accepted: a commit looks at the profile's version without locking it, so a profile that changes in the moment before COMMIT
//! counts as changed after the booking.
//!
//! `examples/book_a_slot.rs` books a slot in memory, as another team would.
//!
//! To add a step of a visit: a status and its arrows in [`model::ConsultationStatus::can_become`], a verb in
//! [`use_cases`], an event in `events.rs` with its schema in `docs/events/`.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod events;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{AvailabilityError, BookError, ConsultationError, ConsumeError, DirectoryError, RescheduleError};
