//! The slots the rules make, against a generator that knows nothing of gaps and folds: it tries every offset that the zone
//! has around the day and keeps the instants at which the zone's own clock shows the time wanted.

use super::{any_rule, day, minutes};
use amrutam_booking::model::{DesiredSlot, TimeOff, WeeklyRule, desired_slots};
use amrutam_kernel::{TimeOffId, TimeRange};
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// Every offset that the zone has within a day and a half of the day.
fn offsets(zone: &TimeZone, day: Date) -> HashSet<Offset> {
    let midnight = TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).unwrap();
    (-72..=144).map(|step| zone.to_offset(midnight + minutes(30 * step))).collect()
}

/// All instants at which a clock in the zone shows `local`, in order.
fn instants(zone: &TimeZone, offsets: &HashSet<Offset>, local: DateTime) -> Vec<Timestamp> {
    let as_if_utc = TimeZone::UTC.to_timestamp(local).unwrap();
    let mut found: Vec<_> = offsets
        .iter()
        .map(|offset| as_if_utc - SignedDuration::from_secs(i64::from(offset.seconds())))
        .filter(|instant| zone.to_datetime(*instant) == local)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn minute_of(time: jiff::civil::Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

pub(super) fn naive(
    rules: &[WeeklyRule],
    off: &[TimeOff],
    zone: &TimeZone,
    from: Date,
    until: Date,
) -> Vec<DesiredSlot> {
    let mut all = Vec::new();
    let mut day = from;
    while day < until {
        let offsets = offsets(zone, day);
        for rule in rules {
            let too_early = rule.valid_from.is_some_and(|first| day < first);
            let too_late = rule.valid_until.is_some_and(|last| day > last);
            if rule.weekday != day.weekday() || too_early || too_late {
                continue;
            }
            let mut minute = minute_of(rule.start);
            while minute + i64::from(rule.slot_minutes) <= minute_of(rule.end) {
                let local = day.to_datetime(super::clock(minute));
                if let Some(first) = instants(zone, &offsets, local).first() {
                    let range = TimeRange::new(*first, *first + minutes(i64::from(rule.slot_minutes))).unwrap();
                    all.push(DesiredSlot { range, modes: rule.modes.clone() });
                }
                minute += i64::from(rule.slot_minutes + rule.buffer_minutes);
            }
        }
        day = day.checked_add(1.day()).unwrap();
    }
    all.retain(|slot| {
        off.iter().all(|off| off.range.end() <= slot.range.start() || slot.range.end() <= off.range.start())
    });
    all.sort_by(|one, other| {
        (one.range.start(), one.range.end(), one.modes.as_slice()).cmp(&(
            other.range.start(),
            other.range.end(),
            other.modes.as_slice(),
        ))
    });
    let mut kept: Vec<DesiredSlot> = Vec::new();
    for slot in all {
        if kept.last().is_none_or(|last| last.range.end() <= slot.range.start()) {
            kept.push(slot);
        }
    }
    kept
}

/// What must hold of any slots, said of each by itself.
pub(super) fn check(slots: &[DesiredSlot], rules: &[WeeklyRule], off: &[TimeOff], zone: &TimeZone) {
    for pair in slots.windows(2) {
        assert!(pair[0].range.end() <= pair[1].range.start(), "{pair:?} overlap or are out of order");
    }
    let mut days = HashMap::new();
    for slot in slots {
        assert!(!off.iter().any(|off| off.range.overlaps(&slot.range)), "{slot:?} lies in a time off");
        let local = zone.to_datetime(slot.range.start());
        let length = slot.range.end().duration_since(slot.range.start());
        let fits = |rule: &&WeeklyRule| {
            let (start, end) = (minute_of(rule.start), minute_of(rule.end));
            let minute = minute_of(local.time());
            rule.weekday == local.date().weekday()
                && rule.modes == slot.modes
                && length == minutes(i64::from(rule.slot_minutes))
                && start <= minute
                && minute + i64::from(rule.slot_minutes) <= end
                && (minute - start) % i64::from(rule.slot_minutes + rule.buffer_minutes) == 0
        };
        assert!(local.second() == 0 && rules.iter().any(|rule| fits(&rule)), "{slot:?} at {local} fits no rule");
        let offsets = days.entry(local.date()).or_insert_with(|| offsets(zone, local.date()));
        let shown = instants(zone, offsets, local);
        assert_eq!(shown.first(), Some(&slot.range.start()), "{local} is shown earlier");
    }
}

pub(super) fn absence(range: TimeRange) -> TimeOff {
    TimeOff { id: TimeOffId::from_uuid(super::uuid(0)), range, note: None }
}

fn any_absence() -> impl Strategy<Value = TimeOff> {
    (0_i64..35 * 24 * 60, 1_i64..3 * 24 * 60).prop_map(|(start, length)| absence(super::range(start, length)))
}

fn any_zone() -> impl Strategy<Value = TimeZone> {
    // Each has a change within the month that is generated; the last by half an hour, the first none.
    let names = ["Asia/Kolkata", "America/New_York", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe"];
    proptest::sample::select(names.map(|name| TimeZone::get(name).unwrap()).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn they_equal_those_of_a_naive_generator(
        rules in proptest::collection::vec(any_rule(), 0..8),
        off in proptest::collection::vec(any_absence(), 0..4),
        zone in any_zone(),
        (from, days) in (0_i32..34, 0_i32..10),
    ) {
        let (from, until) = (day(from), day(from + days));
        let slots = desired_slots(&rules, &off, &zone, from, until);
        check(&slots, &rules, &off, &zone);
        prop_assert_eq!(slots, naive(&rules, &off, &zone, from, until));
    }

    #[test]
    fn days_can_be_made_one_by_one(
        rules in proptest::collection::vec(any_rule(), 1..5),
        days in 1_i32..10,
    ) {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let whole = desired_slots(&rules, &[], &zone, day(0), day(days));
        let parts: Vec<_> = (0..days).flat_map(|n| desired_slots(&rules, &[], &zone, day(n), day(n + 1))).collect();
        prop_assert_eq!(whole, parts);
    }
}
