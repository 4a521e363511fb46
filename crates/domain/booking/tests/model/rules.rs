//! Which lists of rules are accepted.

use super::{any_modes, clock, day, weekday};
use amrutam_booking::model::{Mode, Modes, WeeklyRule, desired_slots, validate_rules};
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn any_rule_however_odd() -> impl Strategy<Value = WeeklyRule> {
    // Few values, so that rules meet; mostly sound ones.
    let slot = prop_oneof![8 => Just(30_u16), 2 => Just(240), 1 => Just(4), 1 => Just(5), 1 => Just(241)];
    let buffer = prop_oneof![8 => Just(0_u16), 2 => Just(120), 1 => Just(121)];
    let validity = || prop_oneof![3 => Just(None), 2 => (0_i32..4).prop_map(|week| Some(day(week * 10)))];
    (
        0_i8..2,
        0_i64..8,
        proptest::sample::select(vec![0_i64, 20, 30, 60, 120, 240, 300]),
        slot,
        buffer,
        any_modes(),
        validity(),
        validity(),
    )
        .prop_map(|(on, start, length, slot_minutes, buffer_minutes, modes, valid_from, valid_until)| WeeklyRule {
            weekday: weekday(on),
            start: clock(start * 60),
            end: clock(start * 60 + length),
            slot_minutes,
            buffer_minutes,
            modes,
            valid_from,
            valid_until,
        })
}

/// Sound by itself: the bounds of the contract.
fn is_sound(rule: &WeeklyRule) -> bool {
    let minutes = |time: jiff::civil::Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
    (5..=240).contains(&rule.slot_minutes)
        && (0..=120).contains(&rule.buffer_minutes)
        && minutes(rule.start) + i64::from(rule.slot_minutes) <= minutes(rule.end)
        && (rule.valid_from.is_none() || rule.valid_until.is_none() || rule.valid_from <= rule.valid_until)
}

/// Whether two rules have a minute of a day in common, found by looking at every day and every minute.
fn share_a_minute(one: &WeeklyRule, other: &WeeklyRule) -> bool {
    (-10..60).map(day).any(|day| {
        let open = |rule: &WeeklyRule, minute: i64| {
            rule.weekday == day.weekday()
                && rule.valid_from.is_none_or(|first| first <= day)
                && rule.valid_until.is_none_or(|last| day <= last)
                && (rule.start..rule.end).contains(&clock(minute))
        };
        (0..24 * 60).step_by(10).any(|minute| open(one, minute) && open(other, minute))
    })
}

/// At the same hours, but valid together for less than a week: refused though no such weekday may fall into those days. Stricter than need be,
/// and harmless.
fn barely_meet(one: &WeeklyRule, other: &WeeklyRule) -> bool {
    let days = (-10..60).map(day).filter(|day| {
        [one, other].iter().all(|rule| {
            rule.valid_from.is_none_or(|first| first <= *day) && rule.valid_until.is_none_or(|last| *day <= last)
        })
    });
    let hours = one.start < other.end && other.start < one.end;
    one.weekday == other.weekday && hours && (1..7).contains(&days.count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn rules_are_accepted_exactly_when_no_two_compete(rules in proptest::collection::vec(any_rule_however_odd(), 0..4)) {
        let pairs = || rules.iter().enumerate().flat_map(|(at, one)| rules[..at].iter().map(move |other| (one, other)));
        let sound = rules.iter().all(is_sound);
        let competing = pairs().any(|(one, other)| share_a_minute(one, other));
        let unclear = pairs().any(|(one, other)| barely_meet(one, other));
        match validate_rules(&rules, &Modes::new(Mode::ALL).unwrap()) {
            Ok(()) => prop_assert!(sound && !competing),
            Err(invalid) => {
                prop_assert!(!sound || competing || unclear, "{:?}", invalid.problems);
                prop_assert!(invalid.problems.iter().all(|problem| problem.index < rules.len()));
                // Every unsound rule is named, not the first alone.
                for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| !is_sound(rule)) {
                    prop_assert!(invalid.problems.iter().any(|problem| problem.index == index), "{:?} is not named", rule);
                }
            }
        }
    }

    #[test]
    fn accepted_rules_each_make_the_slots_they_would_make_alone(
        rules in proptest::collection::vec(any_rule_however_odd(), 0..8)
    ) {
        let mut accepted: Vec<WeeklyRule> = Vec::new();
        for rule in rules {
            accepted.push(rule);
            if validate_rules(&accepted, &Modes::new(Mode::ALL).unwrap()).is_err() {
                accepted.pop();
            }
        }
        let rules = accepted;
        // In a zone without changes of the clock nothing is left out.
        let make = |rules: &[WeeklyRule]| desired_slots(rules, &[], &TimeZone::UTC, day(-10), day(60));
        let mut alone: Vec<_> = rules.iter().flat_map(|rule| make(std::slice::from_ref(rule))).collect();
        alone.sort();
        prop_assert_eq!(make(&rules), alone);
    }
}

#[test]
fn a_hundred_rules_are_accepted_and_one_more_is_not() {
    let rule = |index: i64| WeeklyRule {
        weekday: weekday(i8::try_from(index % 7).unwrap()),
        start: clock(index / 7 * 60),
        end: clock(index / 7 * 60 + 30),
        slot_minutes: 30,
        buffer_minutes: 0,
        modes: Modes::new([Mode::Audio]).unwrap(),
        valid_from: None,
        valid_until: None,
    };
    let mut rules: Vec<_> = (0..100).map(rule).collect();
    assert_eq!(validate_rules(&rules, &Modes::new(Mode::ALL).unwrap()), Ok(()));
    rules.push(rule(100));
    assert!(validate_rules(&rules, &Modes::new(Mode::ALL).unwrap()).is_err());
}

#[test]
fn a_rule_offers_no_mode_that_the_profile_does_not() {
    let rule = WeeklyRule {
        weekday: weekday(0),
        start: clock(540),
        end: clock(600),
        slot_minutes: 30,
        buffer_minutes: 0,
        modes: Modes::new([Mode::Audio, Mode::Chat]).unwrap(),
        valid_from: None,
        valid_until: None,
    };
    for (offered, named) in [(vec![Mode::Audio, Mode::Chat], None), (vec![Mode::Audio, Mode::Video], Some("modes"))] {
        let checked = validate_rules(std::slice::from_ref(&rule), &Modes::new(offered).unwrap());
        assert_eq!(checked.err().map(|invalid| invalid.problems[0].field), named);
    }
}
