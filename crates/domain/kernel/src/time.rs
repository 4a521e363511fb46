//! Time and ids come in through ports, so that tests can move the one and repeat the other.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// The wall clock. Order between machines is never taken from it.
pub trait Clock: Send + Sync {
    /// Now, truncated to microseconds, the resolution of PostgreSQL and of the API.
    fn now(&self) -> Timestamp;
}

/// Where new ids come from.
pub trait IdSource: Send + Sync {
    /// A UUIDv7 whose first 48 bits are `at` in milliseconds.
    fn uuid_v7(&self, at: Timestamp) -> Uuid;
    /// A number in `0..bound` for jitter; not for secrets. `bound` 0 gives 0.
    fn below(&self, bound: u64) -> u64;
}

/// Waiting, as a port: virtual time in simulations.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Returns after `duration`.
    async fn pause(&self, duration: Duration);
}

/// Cuts a time to microseconds. Times are truncated where they are born, so that what is
/// answered equals what is stored.
pub fn truncate_to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A half-open interval: `start` inclusive, `end` exclusive, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// The interval, or nothing when `end` is not after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// First instant inside.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// First instant after.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether `at` lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether the two share an instant. Touching ends do not.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}
