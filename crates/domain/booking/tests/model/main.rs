//! Properties of the pure model, each against a second answer that was written from the rules and not from the code.
//!
//! A failure prints the smallest failing input and stores its seed in `proptest-regressions`, which is tried first from
//! then on. The walk over the zones prints its seed; `AMRUTAM_SEED` repeats it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod desired_slots;
mod refusals;
mod rules;
mod slot_plan;
mod state_machine;
mod zones;

use amrutam_booking::model::{Mode, Modes, WeeklyRule};
use amrutam_kernel::TimeRange;
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time, Weekday, date, time},
};
use proptest::prelude::*;
use uuid::Uuid;

const DAY_ONE: Date = date(2026, 3, 2);

fn day(index: i32) -> Date {
    DAY_ONE.checked_add(index.days()).unwrap()
}

/// A local time, given in minutes of the day.
fn clock(minutes: i64) -> Time {
    time(i8::try_from(minutes / 60).unwrap(), i8::try_from(minutes % 60).unwrap(), 0, 0)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn at(minute: i64) -> Timestamp {
    "2026-03-02T00:00:00Z".parse::<Timestamp>().unwrap() + minutes(minute)
}

fn range(start: i64, length: i64) -> TimeRange {
    TimeRange::new(at(start), at(start + length)).unwrap()
}

fn uuid(number: usize) -> Uuid {
    Uuid::from_u128(u128::try_from(number).unwrap() + 1)
}

fn any_modes() -> impl Strategy<Value = Modes> {
    proptest::sample::subsequence(Mode::ALL.to_vec(), 1..=3).prop_map(|modes| Modes::new(modes).unwrap())
}

fn weekday(index: i8) -> Weekday {
    Weekday::from_monday_zero_offset(index).unwrap()
}

/// A rule that is sound by itself; several of them may still clash.
fn any_rule() -> impl Strategy<Value = WeeklyRule> {
    let validity = prop_oneof![Just(None), (0_i32..30).prop_map(|index| Some(day(index)))];
    (0_i8..7, 0_i64..287, 1_i64..144, 1_u16..13, 0_u16..7, any_modes(), validity.clone(), validity).prop_map(
        |(on, start, length, slot, buffer, modes, from, until)| {
            let (start, end) = (start * 5, ((start + length) * 5).min(24 * 60 - 1));
            WeeklyRule {
                weekday: weekday(on),
                start: clock(start),
                end: clock(end),
                slot_minutes: slot * 5,
                buffer_minutes: buffer * 5,
                modes,
                valid_from: from,
                valid_until: until,
            }
        },
    )
}
