//! What people may ask of what is kept of them: a copy of all of it, and an end of it.
//!
//! A **copy** is an archive, made by the worker, kept sealed for a day and given away once. An **erasure** takes effect at once for
//! everything that no law asks us to keep; the clinical record is locked, so that nobody opens it, until its retention ends, and then
//! ends with its keys. What is kept how long, and on which ground, is data with a version ([`model::RetentionRules`]); a legal hold
//! keeps a record beyond its time.
//!
//! The crate decides; it knows other domains only through its ports. To have something new of a person in their copy: a file more in
//! what [`ports::Holdings`] gathers. To keep a new class of records: a word in [`model::RecordClass`], a rule in a new file of `data/`.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod events;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{EraseAgainError, EraseError, ErasureReadError, ExportError, GatherError, HoldError};
