//! The people an account keeps: it books their visits and reads their records.

use super::{DependantRelation, Person, Sex, Subject};
use amrutam_kernel::{AccountId, DependantId, Sensitive};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// How many people an account keeps at most. (ours) A large family's; more is a practice of its own.
pub const MAX_DEPENDANTS: usize = 10;

/// Who they are. The day of birth is always known: whether an adult must be beside them follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DependantDetails {
    /// As in identity documents.
    pub full_name: String,
    /// Of birth.
    pub date_of_birth: Date,
    /// When known.
    pub sex: Option<Sex>,
    /// What they are to the one who keeps them.
    pub relation: DependantRelation,
}

impl DependantDetails {
    /// As who is treated at a visit.
    pub fn person(&self) -> Person {
        Person { name: self.full_name.clone(), date_of_birth: Some(self.date_of_birth), sex: self.sex }
    }
}

/// A person whom an account keeps, with a record and a key of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependant {
    /// Their id.
    pub id: DependantId,
    /// The account.
    pub keeper: AccountId,
    /// Who they are.
    pub details: Sensitive<DependantDetails>,
    /// Since when.
    pub added_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Since when the account keeps them no more; the record of their visits still says who they are.
    pub removed_at: Option<Timestamp>,
    /// Rises by one with every change.
    pub version: i64,
}

impl Dependant {
    /// Whose record theirs is.
    pub const fn subject(&self) -> Subject {
        Subject::Dependant { keeper: self.keeper, dependant: self.id }
    }

    /// With other details.
    #[must_use]
    pub fn changed(&self, details: DependantDetails, now: Timestamp) -> Self {
        Self { details: Sensitive::new(details), updated_at: now, version: self.version + 1, ..self.clone() }
    }

    /// Kept no more.
    #[must_use]
    pub fn removed(&self, now: Timestamp) -> Self {
        Self { updated_at: now, removed_at: Some(now), version: self.version + 1, ..self.clone() }
    }
}

/// A visit of theirs that occupies the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingVisit {
    /// When it ends.
    pub ends_at: Timestamp,
    /// While unpaid: when the hold ends.
    pub held_until: Option<Timestamp>,
}

/// Why the people kept stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DependantRefusal {
    /// The account keeps as many as it can.
    #[error("an account keeps {MAX_DEPENDANTS} people at most")]
    TooMany,
    /// A visit of theirs is yet to come or under way: call it off first.
    #[error("a visit of theirs is yet to come or under way")]
    VisitAhead,
}

/// Whether an account that keeps so many may keep one more.
pub fn check_room(kept: usize) -> Result<(), DependantRefusal> {
    if kept < MAX_DEPENDANTS { Ok(()) } else { Err(DependantRefusal::TooMany) }
}

/// Whether somebody with those visits may be kept no more: not before what is booked for them is over. A hold that ran out is no visit.
pub fn check_removal(visits: &[StandingVisit], now: Timestamp) -> Result<(), DependantRefusal> {
    let ahead = |visit: &StandingVisit| now < visit.ends_at && visit.held_until.is_none_or(|until| now < until);
    if visits.iter().any(ahead) { Err(DependantRefusal::VisitAhead) } else { Ok(()) }
}
