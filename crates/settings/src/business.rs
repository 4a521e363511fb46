//! The business's own conventions, the same for every process.

use crate::{Problems, Validate};
use amrutam_kernel::{Currency, Money};
use serde::{Deserialize, Serialize};

/// Section `business`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Business {
    /// IANA zone whose days are business days.
    pub time_zone: String,
    /// Above how much a decision of a review case needs a second person.
    pub approval_above: ApprovalAbove,
}

impl Default for Business {
    fn default() -> Self {
        Self { time_zone: "Asia/Kolkata".to_owned(), approval_above: ApprovalAbove::default() }
    }
}

/// Section `business.approval_above`: minor units per currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalAbove {
    /// Paise.
    pub inr: i64,
    /// Cents.
    pub usd: i64,
    /// Cents.
    pub eur: i64,
    /// Pence.
    pub gbp: i64,
    /// Fils, of which a dirham has 100.
    pub aed: i64,
}

impl Default for ApprovalAbove {
    /// 10,000 rupees, and about as much in the others.
    fn default() -> Self {
        Self { inr: 1_000_000, usd: 12_000, eur: 11_000, gbp: 9_500, aed: 44_000 }
    }
}

impl ApprovalAbove {
    /// In minor units.
    pub const fn per_currency(&self) -> [(Currency, i64); 5] {
        [
            (Currency::Inr, self.inr),
            (Currency::Usd, self.usd),
            (Currency::Eur, self.eur),
            (Currency::Gbp, self.gbp),
            (Currency::Aed, self.aed),
        ]
    }
}

impl Validate for Business {
    fn validate(&self, problems: &mut Problems) {
        let known = jiff::tz::TimeZone::get(&self.time_zone).is_ok();
        problems.check(known, "time_zone", "must be an IANA zone such as Asia/Kolkata");
        let limits = self.approval_above.per_currency();
        let sane = limits.iter().all(|(_, limit)| (0..=Money::MAX_MINOR).contains(limit));
        problems.check(sane, "approval_above", "0 to 1000000000 minor units each");
    }
}
