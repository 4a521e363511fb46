//! Names of people.

use std::str::FromStr;

/// A full name: 1 to 200 characters of any script, trimmed, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersonName(String);

/// Empty, too long, or with control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 200 characters without control characters")]
pub struct InvalidName;

impl PersonName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}
