//! What accounts, sessions, links and second factors are. Everything here is checked when it is made, so nothing later
//! needs to check again, and every decision is a pure function.

mod account;
mod digest;
mod email;
mod factor;
mod link;
mod name;
mod password;
mod recovery_code;
mod refresh_token;
mod rules;
mod session;
mod tries;

pub use account::{Account, AccountStatus, Profile, Sex, UnknownStatus};
pub use digest::SecretDigest;
pub use email::{EmailAddress, InvalidEmail};
pub use factor::{ConfirmedFactor, Factors, PendingFactor, STEP_SECONDS, Step, TotpSecret, matching_step};
pub use link::Link;
pub use name::{InvalidName, PersonName};
pub use password::{InvalidPassword, NewPassword, PasswordHash};
pub use recovery_code::{RECOVERY_CODE_BYTES, RECOVERY_CODES, RecoveryCode};
pub use refresh_token::RefreshToken;
pub use rules::IdentityRules;
pub use session::{
    ABSOLUTE_LIFETIME, Assurance, EndReason, IDLE_LIFETIME, Session, SessionLabel, SessionState, UnknownEndReason,
};
pub use tries::{Delayed, MAX_TRIES, Tries};
