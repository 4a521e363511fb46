//! Amounts: exact, in thousandths.

use super::{Unit, UnknownWord};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A decimal of at most three places, more than 0 and at most 1,000,000; `2.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u32);

impl Amount {
    const MAX_THOUSANDTHS: u32 = 1_000_000_000;

    /// Of so many thousandths; nothing when out of range.
    pub fn of_thousandths(thousandths: u32) -> Option<Self> {
        (1..=Self::MAX_THOUSANDTHS).contains(&thousandths).then_some(Self(thousandths))
    }

    /// In thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = UnknownWord;
    /// Digits, and at most three of them after a point.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        const WRONG: UnknownWord = UnknownWord("decimal of at most three places");
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 7) || !fraction.is_none_or(|fraction| digits(fraction, 3)) {
            return Err(WRONG);
        }
        let whole: u32 = whole.parse().map_err(|_| WRONG)?;
        let fraction: u32 = format!("{:0<3}", fraction.unwrap_or("0")).parse().map_err(|_| WRONG)?;
        let thousandths = whole.checked_mul(1_000).and_then(|whole| whole.checked_add(fraction)).ok_or(WRONG)?;
        Self::of_thousandths(thousandths).ok_or(WRONG)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000, self.0 % 1_000);
        if fraction == 0 {
            write!(f, "{whole}")
        } else {
            f.write_str(format!("{whole}.{fraction:03}").trim_end_matches('0'))
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// How much.
    pub amount: Amount,
    /// Of which unit.
    pub unit: Unit,
}

impl Measure {
    /// In thousandths of the smallest unit of its kind; with which other units it can be compared.
    fn reduced(self) -> (Unit, u64) {
        let thousandths = u64::from(self.amount.thousandths());
        match self.unit {
            Unit::Gram => (Unit::Milligram, thousandths * 1_000),
            unit => (unit, thousandths),
        }
    }

    /// Whether it is more than `times` of `other`; nothing when the two can't be compared.
    pub fn exceeds(self, other: Self, times: u64) -> Option<bool> {
        let ((unit, own), (others_unit, others)) = (self.reduced(), other.reduced());
        (unit == others_unit).then(|| own > others.saturating_mul(times))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_back_as_written() {
        for text in ["1", "0.5", "2.25", "0.125", "1000000"] {
            assert_eq!(text.parse::<Amount>().map(|amount| amount.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "0", "0.0", "-1", "+1", "1.", ".5", "1.2345", "1e3", "1 000", "1000000.001", "99999999", "१"]
        {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn grams_and_milligrams_compare_and_tablets_with_nothing_else() {
        let measure = |text: &str, unit| Measure { amount: text.parse().unwrap(), unit };
        assert_eq!(measure("1.5", Unit::Gram).exceeds(measure("500", Unit::Milligram), 3), Some(false));
        assert_eq!(measure("1.501", Unit::Gram).exceeds(measure("500", Unit::Milligram), 3), Some(true));
        assert_eq!(measure("1", Unit::Tablet).exceeds(measure("1", Unit::Gram), 1), None);
    }
}
