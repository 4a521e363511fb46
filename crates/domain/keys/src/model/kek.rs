//! Key-encryption keys, by name only: what they are made of stays with their provider.

use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// The text was no id of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 1 to 64 letters, digits, '-' or '_'")]
pub struct InvalidKekId;

/// The name of a key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(String);

impl KekId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KekId {
    type Err = InvalidKekId;
    fn from_str(text: &str) -> Result<Self, InvalidKekId> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(known);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidKekId) }
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key-encryption key as the store of data keys knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekState {
    /// Which.
    pub id: KekId,
    /// When the first data key was wrapped under it.
    pub first_used_at: Timestamp,
    /// Since when nothing is wrapped under it and nothing will be.
    pub retired_at: Option<Timestamp>,
}
