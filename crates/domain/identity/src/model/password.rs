//! Passwords, as given and as kept.

use super::{EmailAddress, PersonName};
use amrutam_kernel::Sensitive;
use zxcvbn::{Score, zxcvbn};

/// A password somebody wants to use from now on.
#[derive(Debug, Clone)]
pub struct NewPassword(Sensitive<String>);

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Too short or too long.
    #[error("a password is {} to {} characters", NewPassword::MIN_CHARS, NewPassword::MAX_CHARS)]
    Length,
    /// Known from breaches, or guessed from what is known of its owner.
    #[error("this password is known from breaches or too easily guessed")]
    Guessable,
}

impl NewPassword {
    /// NIST SP 800-63B's floor; length is the only rule of form, composition rules make passwords worse.
    pub const MIN_CHARS: usize = 8;
    /// Bounds the hasher's work.
    pub const MAX_CHARS: usize = 128;

    /// Checks the length.
    pub fn parse(password: Sensitive<String>) -> Result<Self, InvalidPassword> {
        if (Self::MIN_CHARS..=Self::MAX_CHARS).contains(&password.expose().chars().count()) {
            Ok(Self(password))
        } else {
            Err(InvalidPassword::Length)
        }
    }

    /// Refuses what is guessed within a million tries (score below 2) from lists of breached passwords, words, patterns and
    /// what the account says of its owner.
    pub fn check_guessable(&self, email: &EmailAddress, name: &PersonName) -> Result<(), InvalidPassword> {
        let local = email.as_str().split('@').next().unwrap_or_default();
        let known = [email.as_str(), local, name.as_str(), "amrutam"];
        let known = known.into_iter().chain(name.as_str().split_whitespace()).map(beginning);
        let known: Vec<_> = known.collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        // Its work grows with the square of the length, times the ways to read digits as letters: a long one made for that
        // would hold a thread for a second. What begins well enough is long enough.
        let score = zxcvbn(&beginning(self.0.expose()), &known).score();
        if score < Score::Two { Err(InvalidPassword::Guessable) } else { Ok(()) }
    }

    /// For the hasher.
    pub const fn expose(&self) -> &Sensitive<String> {
        &self.0
    }
}

/// As far as a password, and what is known of its owner, is looked at.
fn beginning(text: &str) -> String {
    text.chars().take(24).collect()
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
