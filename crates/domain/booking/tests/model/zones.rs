//! Every zone of the bundled database, across its changes of the clock.

use super::{
    clock,
    desired_slots::{absence, check, naive},
    minutes, weekday,
};
use amrutam_booking::model::{Mode, Modes, TimeOff, WeeklyRule, desired_slots};
use amrutam_kernel::TimeRange;
use jiff::{
    Timestamp, ToSpan,
    civil::date,
    tz::{TimeZone, db},
};
use std::hash::{BuildHasher, RandomState};

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % bound).unwrap()
    }

    /// Rules for all days, so that whatever the clock does, it does it in somebody's hours.
    fn rules(&mut self) -> Vec<WeeklyRule> {
        (0..7)
            .flat_map(|on| {
                let noon = 10 * 60 + 5 * self.below(24);
                [(5 * self.below(12), noon), (noon, 24 * 60 - 1)].map(|(start, end)| WeeklyRule {
                    weekday: weekday(on),
                    start: clock(start),
                    end: clock(end),
                    slot_minutes: u16::try_from(15 + 5 * self.below(22)).unwrap(),
                    buffer_minutes: u16::try_from(5 * self.below(5)).unwrap(),
                    modes: Modes::new([Mode::Video]).unwrap(),
                    valid_from: None,
                    valid_until: None,
                })
            })
            .collect()
    }

    fn absence(&mut self, around: Timestamp) -> TimeOff {
        let start = around + minutes(self.below(3 * 24 * 60) - 36 * 60);
        absence(TimeRange::new(start, start + minutes(1 + self.below(120))).unwrap())
    }
}

#[test]
fn in_every_zone_slots_are_right_across_changes_of_the_clock() {
    let seed =
        std::env::var("AMRUTAM_SEED").map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().unwrap());
    println!("AMRUTAM_SEED={seed}");
    let mut chance = Chance(seed);
    let names: Vec<_> = db().available().map(|name| name.as_str().to_owned()).collect();
    assert!(names.len() > 400, "only {} zones", names.len());
    let (mut changes, mut skipped, mut repeated) = (0, 0, 0);
    let since: Timestamp = "1995-01-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2036-01-01T00:00:00Z".parse().unwrap();
    for name in names {
        let zone = TimeZone::get(&name).unwrap();
        let all: Vec<_> = zone.following(since).map(|change| change.timestamp()).take_while(|at| *at < until).collect();
        // Some of the changes by chance, and one day on which nothing happens, or something.
        let mut picked = vec![since + minutes(chance.below(40 * 365 * 24 * 60))];
        for _ in 0..all.len().min(4) {
            picked.push(all[usize::try_from(chance.below(all.len() as u64)).unwrap()]);
        }
        for around in picked {
            let rules = chance.rules();
            let off = [chance.absence(around)];
            let first = zone.to_datetime(around).date().yesterday().unwrap();
            let end = first.checked_add(3.days()).unwrap();
            let slots = desired_slots(&rules, &off, &zone, first, end);
            assert!(!slots.is_empty(), "{name} around {around}");
            check(&slots, &rules, &off, &zone);
            let expected = naive(&rules, &off, &zone, first, end);
            assert_eq!(slots, expected, "{name} around {around}");
            changes += 1;
            let before = zone.to_offset(around - minutes(1)).seconds();
            match zone.to_offset(around).seconds() - before {
                1.. => skipped += 1,
                ..0 => repeated += 1,
                0 => {}
            }
        }
    }
    assert!(
        changes > 1500 && skipped > 400 && repeated > 400,
        "{changes} looked at, {skipped} skips, {repeated} repeats"
    );
}

#[test]
fn a_day_that_a_zone_skipped_has_no_slots() {
    let zone = TimeZone::get("Pacific/Apia").unwrap();
    let rules: Vec<_> = (0..7)
        .map(|on| WeeklyRule {
            weekday: weekday(on),
            start: clock(0),
            end: clock(24 * 60 - 1),
            slot_minutes: 60,
            buffer_minutes: 0,
            modes: Modes::new([Mode::Chat]).unwrap(),
            valid_from: None,
            valid_until: None,
        })
        .collect();
    // Samoa crossed the date line: no 30 December 2011.
    assert_eq!(desired_slots(&rules, &[], &zone, date(2011, 12, 30), date(2011, 12, 31)), []);
    let slots = desired_slots(&rules, &[], &zone, date(2011, 12, 29), date(2012, 1, 1));
    assert_eq!(slots.len(), 23 + 23);
}
