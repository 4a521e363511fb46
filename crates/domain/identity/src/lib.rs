//! Accounts, roles and log-in: who may come in.
//!
//! The crate decides; what it needs from the world it names as [`ports`]. `adapters/postgres` stores accounts,
//! `adapters/crypto` hashes passwords and signs tokens, `adapters/memory` does both for tests.
//!
//! To add a way in (a second factor, a recovery): a decision in [`model`], a verb in [`use_cases`], a method on the
//! narrowest port that can serve it.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod events;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{CreateStaffError, LogInError, RegisterError, WhoAmIError};
pub use events::REGISTRATION_REPEATED;
pub use model::{Account, EmailAddress, NewPassword, PersonName, Profile};
