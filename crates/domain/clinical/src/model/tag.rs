//! By what a caller says which prescription it has seen.

use super::{Prescription, UnknownWord};
use std::{fmt, str::FromStr};

/// One state of a visit's prescription: its number and how often it has changed, `2.1`. No two states of a visit's prescriptions have
/// the same. `0`: there is nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrescriptionTag {
    number: u32,
    version: i64,
}

impl PrescriptionTag {
    /// There is nothing yet.
    pub const NONE: Self = Self { number: 0, version: 0 };

    /// Of that one as it stands.
    pub const fn of(prescription: &Prescription) -> Self {
        Self { number: prescription.number, version: prescription.version }
    }
}

impl fmt::Display for PrescriptionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE { f.write_str("0") } else { write!(f, "{}.{}", self.number, self.version) }
    }
}

impl FromStr for PrescriptionTag {
    type Err = UnknownWord;
    /// As it is written, and in no other way.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        const WRONG: UnknownWord = UnknownWord("tag of a prescription");
        let read = match text.split_once('.') {
            None if text == "0" => return Ok(Self::NONE),
            None => None,
            Some((number, version)) => number.parse().ok().zip(version.parse().ok()),
        };
        let (number, version) = read.ok_or(WRONG)?;
        let tag = Self { number, version };
        if tag.to_string() == text { Ok(tag) } else { Err(WRONG) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_back_as_written_and_in_no_other_way() {
        for text in ["0", "1.1", "2.17"] {
            assert_eq!(text.parse::<PrescriptionTag>().map(|tag| tag.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "1", "0.0", "01.1", "1.+1", "1.1.1", "1.", ".1", "x"] {
            assert!(bad.parse::<PrescriptionTag>().is_err(), "{bad}");
        }
    }
}
