//! Keys of people: every person's data is sealed under data keys of their own, which lie wrapped under a key-encryption key
//! (KEK) that is kept elsewhere.
//!
//! A person's key has versions. The newest seals, until it has sealed [`model::MAX_SEALS`] values or is
//! [`model::MAX_AGE`] old; then the next sealing makes another one. Older ones open what they have sealed. A new KEK wraps every data key
//! anew in the background ([`use_cases::rewrap`]), and the one before can be removed when nothing is wrapped under it
//! ([`use_cases::retire_kek`]). A person's data ends with their keys ([`use_cases::shred`]): no backup of what was sealed brings it back.
//!
//! The crate decides and never sees a plain key; sealing itself is the adapter `crypto`. To keep KEKs in a vault or a KMS,
//! implement [`ports::KeyWrapper`] and pass `contract::key_wrapper`.
//!
//! ```
//! use amrutam_keys::model::{InvalidKekId, KekId};
//!
//! assert_eq!("2026-11-30-1a".parse::<KekId>().map(|id| id.to_string()), Ok("2026-11-30-1a".to_owned()));
//! assert_eq!("../kek".parse::<KekId>(), Err(InvalidKekId));
//! ```
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{RetireError, ShredError, UnwrapError};
