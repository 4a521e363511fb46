//! Exponential backoff with full jitter, for everything that is tried again.

use std::time::Duration;

/// Specification 3.2: 500 ms, doubled, 5 retries. Full jitter: a delay is drawn evenly from zero to the step's bound,
/// so that a crowd that failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Bound of the first delay.
    pub initial: Duration,
    /// Retries after the first attempt.
    pub max_retries: u32,
}

impl RetryPolicy {
    /// The specification's ladder.
    pub const STANDARD: Self = Self { initial: Duration::from_millis(500), max_retries: 5 };

    /// The bound of the delay before retry number `retry` (from 1), or nothing when the retries are used up.
    ///
    /// ```
    /// # use amrutam_kernel::RetryPolicy; use std::time::Duration;
    /// let ladder: Vec<_> = (1..=6).map(|n| RetryPolicy::STANDARD.bound(n)).collect();
    /// let ms = |n| Some(Duration::from_millis(n));
    /// assert_eq!(ladder, [ms(500), ms(1000), ms(2000), ms(4000), ms(8000), None]);
    /// ```
    pub fn bound(&self, retry: u32) -> Option<Duration> {
        (1..=self.max_retries).contains(&retry).then(|| self.initial.saturating_mul(1 << (retry - 1).min(16)))
    }

    /// The delay before retry number `retry`, drawn with `below(n)`, which gives a number in `0..n`.
    pub fn delay(&self, retry: u32, below: impl FnOnce(u64) -> u64) -> Option<Duration> {
        self.bound(retry).map(|bound| {
            let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(below(millis.saturating_add(1)))
        })
    }
}
