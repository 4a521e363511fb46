//! Accounts, roles, sessions and second factors: who may come in, and who may do what.
//!
//! The crate decides; what it needs from the world it names as [`ports`]. `adapters/postgres` stores, `adapters/redis` keeps
//! sessions' states at hand, `adapters/crypto` hashes passwords, signs tokens and computes one-time codes, `adapters/memory`
//! does all of it for tests.
//!
//! To add a way in: a decision in [`model`], a verb in [`use_cases`], a method on the narrowest port that can serve it. To
//! let a role do something: a cell in `policy.rs`, and the same one in its test.
#![deny(missing_docs)]

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod events;
pub mod model;
mod personal;
mod policy;
pub mod ports;
pub mod use_cases;

pub use error::{
    AccountError, ChangePasswordError, CreateStaffError, DeactivateError, FactorError, InviteError, LogInError,
    PermitError, ProofError, RefreshError, RegisterError, SecondFactorError, SessionError, SetPasswordError,
    StepUpError, VerifyEmailError,
};
pub use events::{
    DEACTIVATED, EMAIL_VERIFICATION_REQUESTED, INVITED, PASSWORD_CHANGED, PASSWORD_RESET_REQUESTED,
    REGISTRATION_REPEATED, SECOND_FACTOR_CHANGED, SESSION_REVOKED,
};
pub use model::{Account, EmailAddress, IdentityRules, NewPassword, PersonName, Profile};
pub use policy::PolicyTable;
