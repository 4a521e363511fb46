//! The numbers of the field's rules, as data with a version and a source.

use crate::model::Registration;
use amrutam_kernel::TimeRange;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// Whether a visit must be paid before it is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentsMode {
    /// Nobody pays: a booking is confirmed at once.
    None,
    /// A booking holds its slot until it is paid or the hold expires.
    Required,
}

/// The rules a booking is decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRules {
    /// Of this set, for whoever compares two releases; decisions don't store it.
    pub version: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// How long a pending consultation holds its slot.
    pub hold: SignedDuration,
    /// Unpaid holds a patient may have at once.
    pub max_unpaid_holds: usize,
    /// How long before the slot a visit may start.
    pub start_early: SignedDuration,
    /// How long after the slot's start an absence becomes a no-show.
    pub no_show_grace: SignedDuration,
    /// How far ahead slots are made, in days of the practitioner's calendar.
    pub horizon_days: i32,
    /// The zone whose days are business days: a registration is valid for a day of it.
    pub business_zone: TimeZone,
}

impl BookingRules {
    /// (ours) Design decisions of 2026-11, `domain-rules` "The visit"; the guidelines leave these numbers open.
    pub fn v1(business_zone: TimeZone) -> Self {
        Self {
            version: "booking-1",
            source: "Amrutam domain rules, The visit",
            hold: SignedDuration::from_mins(15),
            max_unpaid_holds: 3,
            start_early: SignedDuration::from_mins(10),
            no_show_grace: SignedDuration::from_mins(10),
            horizon_days: 60,
            business_zone,
        }
    }

    /// The business day an instant falls on.
    pub fn business_day(&self, at: Timestamp) -> Date {
        self.business_zone.to_datetime(at).date()
    }

    /// The part of `range` on the days of a registration.
    pub fn within(&self, registration: Registration, range: TimeRange) -> Option<TimeRange> {
        let begins = |day: Date| Some(day.to_zoned(self.business_zone.clone()).ok()?.timestamp());
        let from = registration.from.and_then(begins);
        // Beyond the calendar's last day there is nothing to cut off.
        let until = registration.until.and_then(|day| begins(day.tomorrow().ok()?));
        TimeRange::new(
            from.map_or(range.start(), |from| from.max(range.start())),
            until.map_or(range.end(), |until| until.min(range.end())),
        )
    }
}
