//! One-time links in mails.
//!
//! Events and queues carry a link's id alone. Its token is made from the id with a key when the mail is sent, and only
//! the token's hash is stored.

use crate::{LinkId, Sensitive};
use jiff::SignedDuration;
use std::{fmt, str::FromStr};

/// What a link allows. A token made for one purpose is none for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkPurpose {
    /// Shows that an address is the account's owner's.
    VerifyEmail,
    /// Sets a password in place of a forgotten one.
    ResetPassword,
    /// Sets the first password of an invited person.
    Invitation,
}

/// Not a purpose of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a purpose of a link")]
pub struct UnknownPurpose;

impl LinkPurpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::VerifyEmail, Self::ResetPassword, Self::Invitation];

    /// The word used in tables and under the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
        }
    }

    /// How long a link works.
    pub const fn lifetime(self) -> SignedDuration {
        match self {
            Self::VerifyEmail => SignedDuration::from_hours(24),
            Self::ResetPassword => SignedDuration::from_mins(30),
            Self::Invitation => SignedDuration::from_hours(7 * 24),
        }
    }
}

impl fmt::Display for LinkPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LinkPurpose {
    type Err = UnknownPurpose;
    fn from_str(word: &str) -> Result<Self, UnknownPurpose> {
        Self::ALL.into_iter().find(|p| p.as_str() == word).ok_or(UnknownPurpose)
    }
}

/// Makes links' tokens.
pub trait LinkTokens: Send + Sync {
    /// `base64url(id || HMAC-SHA-256(key, purpose || id))` without padding, 64 characters: the same every time, and
    /// nobody without the key can make it.
    fn token(&self, purpose: LinkPurpose, id: LinkId) -> Sensitive<String>;
}
