//! How often a second factor may be guessed.

use crate::start;
use amrutam_identity::model::{Delayed, MAX_TRIES, Tries};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn the_wait_doubles_to_an_hour_and_the_twentieth_try_is_the_days_last() {
    let (mut tries, mut now, mut waits) = (Tries::default(), start(), Vec::new());
    for _ in 0..MAX_TRIES {
        tries = tries.claim(now).unwrap();
        let Err(Delayed { until, .. }) = tries.claim(now) else { panic!("nothing is looked at at once") };
        assert!(tries.claim(until - SignedDuration::from_micros(1)).is_err());
        waits.push(until.duration_since(now).as_secs());
        now = until;
    }
    let doubling = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];
    assert_eq!(waits[..12], doubling);
    assert_eq!(waits[12..19], [3600; 7]);
    assert_eq!(now, start() + DAY, "the first one is forgotten");
    assert!(tries.claim(now).is_ok());
}

#[test]
fn the_last_of_the_day_waits_like_any_other() {
    let (mut tries, mut now) = (Tries::default(), start());
    for _ in 1..MAX_TRIES {
        tries = tries.claim(now).unwrap();
        now = tries.claim(now).unwrap_err().until;
    }
    now = start() + DAY - SignedDuration::from_mins(10);
    let full = tries.claim(now).unwrap();
    let until = full.claim(now).unwrap_err().until;
    assert_eq!(until, now + SignedDuration::from_hours(1), "an hour, though the oldest is forgotten before");
    assert!(full.claim(until).is_ok());
}

#[test]
fn a_right_code_takes_its_own_try_back_and_no_other() {
    let later = start() + SignedDuration::from_mins(1);
    let wrong = Tries::default().claim(start()).unwrap();
    let right = wrong.claim(later).unwrap().without(later);
    assert_eq!(right.at, [start()]);
    assert!(right.claim(later).is_ok(), "and leaves no wait of its own");
    assert!(right.version > wrong.version);
    // Wrong ones of yesterday count no more.
    assert_eq!(right.claim(start() + DAY).unwrap().at, [start() + DAY]);
}

proptest! {
    /// Whoever tries whenever: never more than twenty in any 24 hours, and nobody waits longer than that.
    #[test]
    fn at_most_twenty_a_day_and_nobody_for_ever(
        pauses in proptest::collection::vec(prop_oneof![1_i64..100, 1_i64..10_000_000, 1_i64..90_000_000_000], 1..300),
        right in proptest::collection::vec(any::<bool>(), 300),
    ) {
        let (mut tries, mut now, mut wrong) = (Tries::default(), start(), Vec::<Timestamp>::new());
        for (pause, right) in pauses.into_iter().zip(right) {
            now += SignedDuration::from_micros(pause);
            match tries.claim(now) {
                Ok(claimed) => {
                    prop_assert!(claimed.version == tries.version + 1);
                    tries = if right { claimed.without(now) } else { claimed };
                    if !right {
                        wrong.push(now);
                    }
                    let today = wrong.iter().filter(|at| now.duration_since(**at) < DAY).count();
                    prop_assert!(today <= MAX_TRIES, "{today}");
                }
                Err(Delayed { until, .. }) => {
                    prop_assert!(until > now && until <= now + DAY);
                    prop_assert!(tries.claim(until).is_ok());
                }
            }
        }
    }
}
