//! A court or a claim keeps a record beyond its time.

use amrutam_kernel::AccountId;
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// The case, by an opaque reference: 1 to 64 of letters, digits, `.`, `/`, `-`. Never a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldReference(String);

/// Not such a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to 64 of letters, digits, . / and -")]
pub struct InvalidReference;

impl FromStr for HoldReference {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidReference) }
    }
}

impl HoldReference {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HoldReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What keeps a person's record from being destroyed, for as long as it is not lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalHold {
    /// Whose record.
    pub account: AccountId,
    /// The case.
    pub reference: HoldReference,
    /// Since when.
    pub placed_at: Timestamp,
    /// Until when.
    pub lifted_at: Option<Timestamp>,
}
