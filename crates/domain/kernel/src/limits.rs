//! How often something may be done, as a port.

use async_trait::async_trait;
use std::{fmt, num::NonZeroU32, time::Duration};

/// A shorter window limits nothing that people do.
const SHORTEST_WINDOW: Duration = Duration::from_millis(1);

/// At most so many requests in any span of the window's length: a true sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitPolicy {
    requests: NonZeroU32,
    window: Duration,
}

impl LimitPolicy {
    /// So many in a window of this length, or of a millisecond if that is longer.
    pub fn new(requests: NonZeroU32, window: Duration) -> Self {
        Self { requests, window: window.max(SHORTEST_WINDOW) }
    }

    /// How many.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// In which span.
    pub fn window(&self) -> Duration {
        self.window
    }
}

/// What is counted, and for whom. It is stored, so it holds an id, a keyed digest or a network, never an e-mail address or
/// a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LimitKey(String);

impl LimitKey {
    /// Of the requests of one kind (`login`) by one party (`account`, an id).
    pub fn new(kind: &str, party: &str, id: impl fmt::Display) -> Self {
        Self(format!("{kind}:{party}:{id}"))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key and how often it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted.
    pub key: LimitKey,
    /// How often.
    pub policy: LimitPolicy,
}

/// How one limit stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    /// What it was held against.
    pub policy: LimitPolicy,
    /// How many more requests it allows now.
    pub remaining: u32,
    /// When it allows more than that; zero while nothing is counted.
    pub reset_after: Duration,
}

/// Whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitDecision {
    /// Whether all limits allowed it.
    pub allowed: bool,
    /// How each stands now, in the order asked.
    pub states: Vec<LimitState>,
}

impl LimitDecision {
    /// How long a refused request has to wait until all limits allow one; zero when it was allowed.
    pub fn retry_after(&self) -> Duration {
        let exhausted = self.states.iter().filter(|state| !self.allowed && state.remaining == 0);
        exhausted.map(|state| state.reset_after).max().unwrap_or_default()
    }
}

/// Counts requests.
///
/// It always decides: an implementation that can't reach the place where it counts goes by what it knows itself, and
/// never lets everything through.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Counts one request against each of the limits, whose keys differ, or against none of them: a refused request uses
    /// nothing up. Of many at once no more are allowed than of as many one after the other.
    async fn check(&self, limits: &[RateLimit]) -> LimitDecision;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_waits_for_the_slowest_of_what_is_used_up() {
        let policy = LimitPolicy::new(NonZeroU32::MIN, Duration::ZERO);
        assert_eq!((policy.requests(), policy.window()), (1, Duration::from_millis(1)), "a policy limits something");
        let state = |remaining, seconds| LimitState { policy, remaining, reset_after: Duration::from_secs(seconds) };
        let states = vec![state(0, 3), state(0, 7), state(2, 50)];
        let refused = LimitDecision { allowed: false, states };
        assert_eq!(refused.retry_after(), Duration::from_secs(7));
        assert_eq!(LimitDecision { allowed: true, ..refused }.retry_after(), Duration::ZERO);
    }
}
