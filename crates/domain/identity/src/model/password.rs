//! Passwords, as given and as kept.

use amrutam_kernel::Sensitive;

/// A password somebody wants to use from now on.
#[derive(Debug, Clone)]
pub struct NewPassword(Sensitive<String>);

/// Too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password is {} to {} characters", NewPassword::MIN_CHARS, NewPassword::MAX_CHARS)]
pub struct InvalidPassword;

impl NewPassword {
    /// NIST SP 800-63B's floor; length is the only rule, composition rules make passwords worse.
    pub const MIN_CHARS: usize = 8;
    /// Bounds the hasher's work.
    pub const MAX_CHARS: usize = 128;

    /// Checks the length.
    pub fn parse(password: Sensitive<String>) -> Result<Self, InvalidPassword> {
        if (Self::MIN_CHARS..=Self::MAX_CHARS).contains(&password.expose().chars().count()) {
            Ok(Self(password))
        } else {
            Err(InvalidPassword)
        }
    }

    /// For the hasher.
    pub const fn expose(&self) -> &Sensitive<String> {
        &self.0
    }
}

/// A password's hash in PHC text form. Not the password, yet nothing to show either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(Sensitive<String>);

impl PasswordHash {
    /// As the hasher made it, or as stored.
    pub const fn from_phc(phc: String) -> Self {
        Self(Sensitive::new(phc))
    }

    /// For the hasher and the store.
    pub fn as_phc(&self) -> &str {
        self.0.expose()
    }
}
