//! How long what is kept, and on which ground: data with a version, sources and an approver.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A class of records that outlives an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordClass {
    /// Visits that took place, their consents, notes and prescriptions.
    ClinicalRecord,
    /// Payments, the ledger, and when which visit was booked.
    Payments,
    /// Who did what, by opaque ids.
    AuditTrail,
}

impl RecordClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::ClinicalRecord, Self::Payments, Self::AuditTrail];
}

/// Why, in a word and in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grounded {
    /// A stable word.
    pub ground: String,
    /// The law or guideline; `(ours)` where it is a choice of our own.
    pub source: String,
}

/// How long a class is kept, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Whole years; none where its end is not the erasure's to say.
    pub years: Option<u16>,
    /// A stable word.
    pub ground: String,
    /// The law or guideline.
    pub source: String,
}

impl ClassRule {
    /// Why.
    pub fn grounded(&self) -> Grounded {
        Grounded { ground: self.ground.clone(), source: self.source.clone() }
    }
}

/// A set of rules. Nothing in code repeats its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRules {
    /// Stored with every erasure decided by it.
    pub version: String,
    /// From which day (business zone) it holds.
    pub effective_from: Date,
    /// Who approved it, by office.
    pub approved_by: String,
    /// By class.
    pub classes: BTreeMap<RecordClass, ClassRule>,
    /// Why the rest is erased.
    pub erasure: Grounded,
    /// Why a hold keeps.
    pub legal_hold: Grounded,
}

/// Why a set of rules can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRules {
    /// Not of the form.
    #[error("not a set of rules")]
    Malformed(#[from] serde_json::Error),
    /// A class has no rule, or a text is empty.
    #[error("{0}")]
    Incomplete(&'static str),
}

impl RetentionRules {
    /// Reads and checks one.
    pub fn parse(json: &str) -> Result<Self, InvalidRules> {
        let rules: Self = serde_json::from_str(json)?;
        let classes = RecordClass::ALL.iter().all(|class| rules.classes.contains_key(class));
        if !classes {
            return Err(InvalidRules::Incomplete("each class has a rule"));
        }
        let texts = [&rules.version, &rules.approved_by, &rules.erasure.source, &rules.legal_hold.source];
        let sources = rules.classes.values().flat_map(|rule| [&rule.ground, &rule.source]);
        if texts.into_iter().chain(sources).any(|text| text.trim().is_empty()) {
            return Err(InvalidRules::Incomplete("version, approver and sources are named"));
        }
        Ok(rules)
    }

    /// The sets this release knows, oldest first. One that is not of the form can't be released: a test reads them.
    pub fn known() -> Vec<Self> {
        [include_str!("../../data/retention-1.json")].iter().filter_map(|json| Self::parse(json).ok()).collect()
    }

    /// The set that holds on `day`: of those in force, the one that came last.
    pub fn in_force(day: Date) -> Option<Self> {
        Self::known().into_iter().filter(|set| set.effective_from <= day).max_by_key(|set| set.effective_from)
    }

    /// The same, with an operator's own number for a class.
    #[must_use]
    pub fn with_years(mut self, class: RecordClass, years: Option<u16>) -> Self {
        if let (Some(years), Some(rule)) = (years, self.classes.get_mut(&class)) {
            rule.years = Some(years);
        }
        self
    }

    /// The class's rule.
    pub fn rule(&self, class: RecordClass) -> Option<&ClassRule> {
        self.classes.get(&class)
    }

    /// The first instant at which what happened at `since` need not be kept any more: so many years later by the calendar of
    /// the business zone. From a 29th of February to the 1st of March, never a day too early. None where nobody says.
    pub fn keep_until(&self, class: RecordClass, since: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let years = self.rule(class)?.years?;
        let since = since.to_zoned(zone.clone());
        let until = since.checked_add(i64::from(years).years()).ok()?;
        let until = if until.day() == since.day() { until } else { until.checked_add(1.day()).ok()? };
        Some(until.timestamp())
    }
}
