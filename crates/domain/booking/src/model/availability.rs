//! Weekly working hours in a practitioner's own zone, and the slots they make.

use crate::model::Modes;
use amrutam_kernel::{TimeOffId, TimeRange};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};

/// Hours on one weekday, cut into slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyRule {
    /// Of the practitioner's calendar.
    pub weekday: Weekday,
    /// Local time of the first slot.
    pub start: Time,
    /// Local time by which the last slot has ended; after `start`, on the same day.
    pub end: Time,
    /// Length of a slot in minutes, 5 to 240.
    pub slot_minutes: u16,
    /// Pause after each slot in minutes, 0 to 120.
    pub buffer_minutes: u16,
    /// How these slots may be held.
    pub modes: Modes,
    /// First day it applies to.
    pub valid_from: Option<Date>,
    /// Last day it applies to, inclusive.
    pub valid_until: Option<Date>,
}

impl WeeklyRule {
    fn applies_on(&self, day: Date) -> bool {
        self.weekday == day.weekday()
            && self.valid_from.is_none_or(|from| from <= day)
            && self.valid_until.is_none_or(|until| day <= until)
    }

    fn clashes_with(&self, other: &Self) -> bool {
        let days = self.valid_from.is_none_or(|from| other.valid_until.is_none_or(|until| from <= until))
            && other.valid_from.is_none_or(|from| self.valid_until.is_none_or(|until| from <= until));
        self.weekday == other.weekday && days && self.start < other.end && other.start < self.end
    }
}

/// An absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeOff {
    /// Its id.
    pub id: TimeOffId,
    /// When.
    pub range: TimeRange,
    /// For the practitioner's own use; nothing clinical.
    pub note: Option<String>,
}

/// What is wrong with one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    /// Index of the rule in the list.
    pub index: usize,
    /// The field's name in the API.
    pub field: &'static str,
    /// A stable word.
    pub code: &'static str,
    /// In a sentence.
    pub detail: &'static str,
}

/// The rules contradict themselves or the bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of the availability rules are invalid", problems.len())]
pub struct InvalidRules {
    /// All of them, not the first alone.
    pub problems: Vec<RuleProblem>,
}

/// How many rules a practitioner may have.
const MAX_RULES: usize = 100;

/// Checks a whole list of rules of a practitioner who offers the modes `offered`, and names every problem.
pub fn validate_rules(rules: &[WeeklyRule], offered: &Modes) -> Result<(), InvalidRules> {
    let mut problems = Vec::new();
    if rules.len() > MAX_RULES {
        problems.push(RuleProblem { index: MAX_RULES, field: "", code: "too_many", detail: "at most 100 rules" });
    }
    for (index, rule) in rules.iter().take(MAX_RULES).enumerate() {
        let mut problem = |field, code, detail| problems.push(RuleProblem { index, field, code, detail });
        if !(5..=240).contains(&rule.slot_minutes) {
            problem("slot_minutes", "out_of_range", "5 to 240 minutes");
        }
        if rule.buffer_minutes > 120 {
            problem("buffer_minutes", "out_of_range", "0 to 120 minutes");
        }
        if rule.end <= rule.start {
            problem("end", "not_after_start", "after start, on the same day");
        } else if rule.end.duration_since(rule.start) < SignedDuration::from_mins(i64::from(rule.slot_minutes)) {
            problem("end", "shorter_than_slot", "the hours hold at least one slot");
        }
        if let (Some(from), Some(until)) = (rule.valid_from, rule.valid_until)
            && until < from
        {
            problem("valid_until", "before_valid_from", "not before valid_from");
        }
        if !rule.modes.as_slice().iter().all(|mode| offered.contains(*mode)) {
            problem("modes", "not_offered", "only modes that the profile offers");
        }
        if rules.iter().take(index).any(|earlier| earlier.clashes_with(rule)) {
            problem("start", "overlaps", "the hours overlap those of an earlier rule");
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(InvalidRules { problems }) }
}

/// A slot as the rules would have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DesiredSlot {
    /// When.
    pub range: TimeRange,
    /// How.
    pub modes: Modes,
}

/// The slots that `rules` make on the days `from..until` of the zone, in order, none overlapping another or a time off.
///
/// A local time that the zone skips (spring forward) makes no slot; one that it repeats (fall back) makes one, at its
/// first occurrence. Where the clock jumps inside the hours, a slot that would begin before the one before it has ended
/// is left out.
///
/// ```
/// use amrutam_booking::model::{Mode, Modes, WeeklyRule, desired_slots};
/// use jiff::{civil::{Weekday, date, time}, tz::TimeZone};
///
/// let rule = WeeklyRule {
///     weekday: Weekday::Monday, start: time(9, 0, 0, 0), end: time(10, 0, 0, 0), slot_minutes: 20, buffer_minutes: 10,
///     modes: Modes::new([Mode::Video]).expect("not empty"), valid_from: None, valid_until: None,
/// };
/// let slots = desired_slots(&[rule], &[], &TimeZone::get("Asia/Kolkata")?, date(2026, 11, 23), date(2026, 11, 30));
/// let starts: Vec<_> = slots.iter().map(|slot| slot.range.start().to_string()).collect();
/// assert_eq!(starts, ["2026-11-23T03:30:00Z", "2026-11-23T04:00:00Z"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn desired_slots(
    rules: &[WeeklyRule],
    time_off: &[TimeOff],
    zone: &TimeZone,
    from: Date,
    until: Date,
) -> Vec<DesiredSlot> {
    let mut wanted: Vec<DesiredSlot> = from
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day < until)
        .flat_map(|day| {
            rules.iter().filter(move |rule| rule.applies_on(day)).flat_map(move |rule| slots_on(rule, day, zone))
        })
        .filter(|slot| !time_off.iter().any(|off| off.range.overlaps(&slot.range)))
        .collect();
    wanted.sort();
    let mut free_from = Timestamp::MIN;
    wanted.retain(|slot| {
        let fits = slot.range.start() >= free_from;
        if fits {
            free_from = slot.range.end();
        }
        fits
    });
    wanted
}

fn slots_on(rule: &WeeklyRule, day: Date, zone: &TimeZone) -> Vec<DesiredSlot> {
    let length = SignedDuration::from_mins(i64::from(rule.slot_minutes));
    let step = length + SignedDuration::from_mins(i64::from(rule.buffer_minutes));
    let end = day.to_datetime(rule.end);
    let mut start = day.to_datetime(rule.start);
    let mut slots = Vec::new();
    while start.checked_add(length).is_ok_and(|slot_end| slot_end <= end) {
        let ambiguous = zone.to_ambiguous_timestamp(start);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => None,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        };
        let range = instant.and_then(|at| TimeRange::new(at, at.checked_add(length).ok()?));
        slots.extend(range.map(|range| DesiredSlot { range, modes: rule.modes.clone() }));
        let Ok(next) = start.checked_add(step) else { break };
        start = next;
    }
    slots
}
