//! One error per use case, saying what the caller can do.

use amrutam_kernel::PortError;

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Unknown address or wrong password; deliberately one word for both.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why no staff account was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateStaffError {
    /// Only an admin makes accounts for others.
    #[error("only an admin creates accounts for others")]
    NotAllowed,
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

/// Why the caller's own profile was not given.
#[derive(Debug, thiserror::Error)]
pub enum WhoAmIError {
    /// Nobody is signed in, or the account is gone.
    #[error("no such account")]
    NotFound,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}
