//! The real time and real ids: the one place that asks the system for them.

use amrutam_identity::ports::SecretSource;
use amrutam_kernel::{Clock, Dependency, IdSource, Pause, PortError, truncate_to_micros};
use async_trait::async_trait;
use jiff::Timestamp;
use rand::{Rng, TryRngCore, rngs::OsRng};
use std::time::Duration;
use uuid::Uuid;

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the Clock port")]
    fn now(&self) -> Timestamp {
        truncate_to_micros(Timestamp::now())
    }
}

/// Ids and jitter from the thread's CSPRNG.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn uuid_v7(&self, at: Timestamp) -> Uuid {
        // UUIDs know no time before 1970.
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &rand::rng().random()).into_uuid()
    }

    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { rand::rng().random_range(0..bound) }
    }
}

/// The operating system's randomness, asked every time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSecrets;

impl SecretSource for SystemSecrets {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        let drawn = OsRng.try_fill_bytes(bytes);
        drawn.map_err(|error| PortError::defect(Dependency::Hasher, format_args!("randomness: {error}")))
    }
}

/// Waits on tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioPause;

#[async_trait]
impl Pause for TokioPause {
    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ticks_in_microseconds() {
        for _ in 0..100 {
            assert_eq!(SystemClock.now().subsec_nanosecond() % 1_000, 0);
        }
    }

    #[test]
    fn an_id_carries_its_time_and_is_never_another() {
        let at: Timestamp = "2026-08-03T05:00:00.123456Z".parse().unwrap();
        let (one, other) = (SystemIds.uuid_v7(at), SystemIds.uuid_v7(at));
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 7);
        assert_eq!(one.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(one.as_u128() >> 80, 1_785_733_200_123);
        assert_eq!(SystemIds.uuid_v7(Timestamp::MIN).as_u128() >> 80, 0);
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        assert_eq!((SystemIds.below(0), SystemIds.below(1)), (0, 0));
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| SystemIds.below(3)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
