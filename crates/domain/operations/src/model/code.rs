//! Words that come from other domains: short and plain, so that nothing personal hides in one.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// 1 to 64 of `a-z`, `0-9`, `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Code(String);

/// Not such a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is 1 to 64 of a-z, 0-9 and _")]
pub struct InvalidCode;

impl Code {
    /// What was asked needs no answer any more.
    pub(super) fn moot() -> Self {
        Self("moot".to_owned())
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = InvalidCode;
    fn from_str(word: &str) -> Result<Self, InvalidCode> {
        word.to_owned().try_into()
    }
}

impl TryFrom<String> for Code {
    type Error = InvalidCode;
    fn try_from(word: String) -> Result<Self, InvalidCode> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if (1..=64).contains(&word.len()) && word.bytes().all(plain) { Ok(Self(word)) } else { Err(InvalidCode) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
