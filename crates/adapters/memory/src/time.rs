//! Time that moves when told to, ids and chance that repeat.

use amrutam_kernel::{Clock, IdSource, Pause, truncate_to_micros};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Standing at `now`, cut to microseconds.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_microsecond()))
    }

    /// Moves it there, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves it on (or, by a negative duration, back).
    pub fn advance(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(0);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX);
        truncate_to_micros(now)
    }
}

/// Ids and chance that follow from a seed: the same calls give the same ids. Not for secrets.
#[derive(Debug)]
pub struct SeededIds(AtomicU64);

impl SeededIds {
    /// Begins the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): one addition per number, so threads share it without a lock.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl IdSource for SeededIds {
    fn uuid_v7(&self, at: Timestamp) -> Uuid {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let [high, low] = [self.next().to_be_bytes(), self.next().to_be_bytes()];
        let [a, b, c, d, e, f, g, h] = high;
        let [i, j, ..] = low;
        uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
    }

    fn below(&self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}

/// Waiting that takes no time: it moves the clock and lets other tasks run.
#[derive(Debug)]
pub struct VirtualPause {
    clock: Arc<ManualClock>,
    pauses: Mutex<Vec<Duration>>,
}

impl VirtualPause {
    /// Moves `clock` at each pause.
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, pauses: Mutex::default() }
    }

    /// How long each pause would have been, in order.
    pub fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Pause for VirtualPause {
    async fn pause(&self, duration: Duration) {
        self.clock.advance(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX));
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_repeat_by_seed_and_carry_their_time() {
        let at: Timestamp = "2026-11-23T03:30:00.123456Z".parse().unwrap();
        let ids = |seed| {
            let source = SeededIds::new(seed);
            (0..100).map(|_| source.uuid_v7(at)).collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        let mut distinct = ids(7);
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 100);
        for id in distinct {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.as_u128() >> 80, u128::try_from(at.as_millisecond()).unwrap());
        }
        assert_eq!(SeededIds::new(1).below(0), 0);
        assert!((0..1000).all(|_| SeededIds::new(1).below(3) < 3));
    }

    #[tokio::test]
    async fn a_pause_moves_the_clock_and_is_remembered() {
        let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00.123456789Z".parse().unwrap()));
        assert_eq!(clock.now().to_string(), "2026-11-23T03:30:00.123456Z");
        let pause = VirtualPause::new(clock.clone());
        pause.pause(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().to_string(), "2026-11-23T03:30:01.623456Z");
        assert_eq!(pause.pauses(), [Duration::from_millis(1500)]);
    }
}
