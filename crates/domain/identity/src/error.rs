//! One error per use case, saying what the caller can do.

use crate::model::{Delayed, InvalidPassword};
use amrutam_kernel::{Denial, PortError};

/// The policy said no, which is on the record now; or that could not be put there.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// Not for this caller, or not yet.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A second factor was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Wrong, used before, or too old: try the next code.
    #[error("the code is wrong or has been used")]
    InvalidCode,
    /// Nothing is looked at before that time.
    #[error(transparent)]
    Delayed(#[from] Delayed),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

macro_rules! from_permit {
    ($($error:ty),+) => {$(
        impl From<PermitError> for $error {
            fn from(error: PermitError) -> Self {
                match error {
                    PermitError::Denied(denial) => Self::Denied(denial),
                    PermitError::Port(error) => Self::Port(error),
                }
            }
        }
    )+};
}

macro_rules! from_proof {
    ($($error:ty),+) => {$(
        impl From<ProofError> for $error {
            fn from(error: ProofError) -> Self {
                match error {
                    ProofError::InvalidCode => Self::InvalidCode,
                    ProofError::Delayed(delayed) => Self::Delayed(delayed),
                    ProofError::Port(error) => Self::Port(error),
                }
            }
        }
    )+};
}

from_permit!(
    SessionError,
    ChangePasswordError,
    AccountError,
    DeactivateError,
    CreateStaffError,
    InviteError,
    StepUpError,
    FactorError
);
from_proof!(SecondFactorError, StepUpError, FactorError);

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Choose another password.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an address was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyEmailError {
    /// Unknown, used or too old: ask for a new one.
    #[error("the link does not work (any more)")]
    InvalidLink,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why no password was set by a link.
#[derive(Debug, thiserror::Error)]
pub enum SetPasswordError {
    /// Unknown, used or too old: ask for a new one.
    #[error("the link does not work (any more)")]
    InvalidLink,
    /// Choose another password; the link still works.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Unknown or unverified address, wrong password or closed account; deliberately one word for all.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why the second step of a log-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    /// Log in again from the first step.
    #[error("the first step is over")]
    InvalidMfaToken,
    /// Wrong, used before, or too old: try the next code.
    #[error("the code is wrong or has been used")]
    InvalidCode,
    /// Nothing is looked at before that time.
    #[error(transparent)]
    Delayed(#[from] Delayed),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why no new tokens were given.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, or of a session that is over: log in.
    #[error("not a refresh token in force")]
    InvalidToken,
    /// A token of this session came twice, so it was ended: log in.
    #[error("the session was ended because a refresh token was used twice")]
    SessionRevoked,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why sessions were not listed or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Not for this caller; [`Denial::Hidden`] also when there is no such session.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why the password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// Not for this caller.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The present password is another one.
    #[error("the present password is wrong")]
    WrongPassword,
    /// Choose another new password.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an account was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Not for this caller; [`Denial::Hidden`] also when there is no such account.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It is not at the version the caller saw: read it again.
    #[error("the account has changed since it was read")]
    Precondition,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why an account was not closed.
#[derive(Debug, thiserror::Error)]
pub enum DeactivateError {
    /// Not for this caller; [`Denial::Hidden`] also when there is no such account.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// One's own account is closed with its password.
    #[error("the password is wrong")]
    WrongPassword,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why no staff account was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateStaffError {
    /// Only an admin makes accounts for others.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Choose another address.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// Choose another password.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why nobody was invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Only an admin invites.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Patients register themselves.
    #[error("patients register themselves")]
    NotAStaffRole,
    /// Choose another address.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a second factor was not taken as shown again.
#[derive(Debug, thiserror::Error)]
pub enum StepUpError {
    /// Not for this caller.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The account has no second factor.
    #[error("no second factor is set up")]
    NotEnrolled,
    /// Wrong, used before, or too old: try the next code.
    #[error("the code is wrong or has been used")]
    InvalidCode,
    /// Nothing is looked at before that time.
    #[error(transparent)]
    Delayed(#[from] Delayed),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why a second factor was not set up, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// Not for this caller, or not before the second factor is shown again; [`Denial::Hidden`] also when there is no such
    /// account.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The account has no second factor.
    #[error("no second factor is set up")]
    NotEnrolled,
    /// Nothing is being set up (any more): begin again.
    #[error("no second factor is being set up")]
    NotBegun,
    /// The password is another one.
    #[error("the password is wrong")]
    WrongPassword,
    /// Wrong, used before, or too old: try the next code.
    #[error("the code is wrong or has been used")]
    InvalidCode,
    /// Nothing is looked at before that time.
    #[error(transparent)]
    Delayed(#[from] Delayed),
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}
