//! Consent, the record of a visit, prescriptions, and who may see them.
//!
//! The crate decides; storage, sealing, rendering and signing are ports. What may be prescribed is decided by
//! [`model::decide`], a pure function over a [`model::RuleSet`]: rules are data with a version, sources and an approver, and every
//! decision keeps the version that made it.
//!
//! To change a rule's numbers: a new file in `data/`, with a later `effective_from`, named in [`model::RuleSet::known`]. To add a
//! rule: a word in [`model::Rule`] (its source is then missing from every set, which a test says), its place in `decide`.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod events;
pub mod model;
mod personal;
pub mod ports;
pub mod use_cases;

pub use error::{ClinicalError, Objection};
