//! What one process counts by itself.

use amrutam_kernel::{LimitDecision, LimitPolicy, LimitState, RateLimit, RateLimiter};
use async_trait::async_trait;
use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So many keys in a generation. Two generations take 250 MB if each key has used up a limit of 100, and a tenth of that
/// when callers are as they are.
const KEYS: usize = 50_000;

/// Limits within one process, in bounded memory: when there are too many keys, those that were not asked for the longest are
/// forgotten.
pub struct LocalLimits(Mutex<Generations>);

impl LocalLimits {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self::with_capacity(KEYS)
    }

    fn with_capacity(keys: usize) -> Self {
        let now = Instant::now();
        Self(Mutex::new(Generations {
            keys,
            young: HashMap::new(),
            old: HashMap::new(),
            begun: now,
            longest: Duration::ZERO,
        }))
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request against all of the limits or none.
    pub(crate) fn decide(&self, limits: &[RateLimit], now: Instant) -> LimitDecision {
        let mut generations = self.generations();
        if let Some(refusal) = generations.refusal(limits, now) {
            return refusal;
        }
        LimitDecision { allowed: true, states: generations.count(limits, Entry { asked: now, answered: now }) }
    }

    /// The refusal, when there is one; counts nothing.
    pub(crate) fn refusal(&self, limits: &[RateLimit], now: Instant) -> Option<LimitDecision> {
        self.generations().refusal(limits, now)
    }

    /// Counts what somebody else has allowed between these times.
    pub(crate) fn note(&self, limits: &[RateLimit], asked: Instant, answered: Instant) {
        self.generations().count(limits, Entry { asked, answered });
    }
}

impl Default for LocalLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RateLimiter for LocalLimits {
    async fn check(&self, limits: &[RateLimit]) -> LimitDecision {
        self.decide(limits, Instant::now())
    }
}

/// A key that is asked for moves to the young generation; when that is full, or has lasted as long as anything is remembered,
/// it becomes the old one, and what was left in the old one is forgotten.
struct Generations {
    keys: usize,
    young: HashMap<String, Log>,
    old: HashMap<String, Log>,
    begun: Instant,
    longest: Duration,
}

impl Generations {
    fn refusal(&mut self, limits: &[RateLimit], now: Instant) -> Option<LimitDecision> {
        // Nobody new is kept by a look: whoever is refused must not push out what is known of others.
        let states: Vec<_> = limits.iter().map(|limit| self.state(limit, now)).collect();
        states.iter().any(|state| state.remaining == 0).then_some(LimitDecision { allowed: false, states })
    }

    fn count(&mut self, limits: &[RateLimit], entry: Entry) -> Vec<LimitState> {
        let count = |limit: &RateLimit| {
            let log = self.log(limit, entry.asked);
            log.add(entry);
            log.state(limit.policy, entry.answered)
        };
        limits.iter().map(count).collect()
    }

    fn state(&mut self, limit: &RateLimit, now: Instant) -> LimitState {
        let key = limit.key.as_str();
        let is_known = self.young.contains_key(key) || self.old.contains_key(key);
        if is_known { self.log(limit, now).state(limit.policy, now) } else { Log::default().state(limit.policy, now) }
    }

    fn log(&mut self, limit: &RateLimit, now: Instant) -> &mut Log {
        let key = limit.key.as_str();
        self.longest = self.longest.max(limit.policy.window());
        let moved = self.old.remove(key);
        if !self.young.contains_key(key)
            && (self.young.len() >= self.keys || now.saturating_duration_since(self.begun) > self.longest)
        {
            self.old = mem::take(&mut self.young);
            self.begun = now;
        }
        let log = self.young.entry(key.to_owned()).or_insert_with(|| moved.unwrap_or_default());
        log.forget(limit.policy.window(), now);
        log
    }
}

/// Somebody else's clock has counted the request between the two. So a place is taken as free when it may be, and promised for
/// when it is.
#[derive(Clone, Copy)]
struct Entry {
    asked: Instant,
    answered: Instant,
}

/// The requests that were allowed, oldest first.
#[derive(Default)]
struct Log(VecDeque<Entry>);

impl Log {
    fn forget(&mut self, window: Duration, now: Instant) {
        while self.0.front().is_some_and(|first| first.asked + window <= now) {
            self.0.pop_front();
        }
    }

    /// It was asked for before the lock was had, so it need not be the latest.
    fn add(&mut self, entry: Entry) {
        let place = self.0.partition_point(|earlier| earlier.asked <= entry.asked);
        self.0.insert(place, entry);
    }

    fn state(&self, policy: LimitPolicy, now: Instant) -> LimitState {
        let limit = usize::try_from(policy.requests()).unwrap_or(usize::MAX);
        // More than the limit can be there after others have allowed them under a higher one.
        let leaves = self.0.get(self.0.len().saturating_sub(limit));
        let left = |entry: &Entry| (entry.answered + policy.window()).saturating_duration_since(now);
        LimitState {
            policy,
            remaining: u32::try_from(limit.saturating_sub(self.0.len())).unwrap_or(0),
            reset_after: leaves.map_or(Duration::ZERO, left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_kernel::LimitKey;
    use std::num::NonZeroU32;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limit(id: usize) -> RateLimit {
        let two = NonZeroU32::new(2).unwrap();
        RateLimit { key: LimitKey::new("test", "id", id), policy: LimitPolicy::new(two, MINUTE) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_back_when_its_request_leaves_the_window_and_not_before() {
        let limits = LocalLimits::new();
        let check = async || limits.check(&[limit(1)]).await;
        let sleep = tokio::time::sleep;
        assert_eq!(check().await.states[0].reset_after, MINUTE);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(check().await.states[0].remaining, 0);
        assert_eq!(check().await.retry_after(), Duration::from_secs(40));
        sleep(Duration::from_millis(39_999)).await;
        assert!(!check().await.allowed);
        sleep(Duration::from_millis(1)).await;
        assert!(check().await.allowed, "the first has left");
        assert_eq!(check().await.retry_after(), Duration::from_secs(20), "the second has not");
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_and_the_latest_are_kept() {
        let limits = LocalLimits::with_capacity(10);
        let use_up = async |id: usize| while limits.check(&[limit(id)]).await.allowed {};
        use_up(0).await;
        for id in 1..1_000 {
            use_up(id).await;
            assert!(!limits.check(&[limit(0)]).await.allowed, "whoever keeps asking is remembered");
            let generations = limits.generations();
            assert!(generations.young.len() <= 10 && generations.old.len() <= 10);
        }
        assert!(!limits.check(&[limit(999)]).await.allowed);
        assert!(limits.check(&[limit(1)]).await.allowed, "it was forgotten long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_left_the_window_does_not_stay_in_memory() {
        let limits = LocalLimits::new();
        for id in 0..100 {
            limits.check(&[limit(id)]).await;
        }
        for id in 100..102 {
            tokio::time::sleep(MINUTE * 2).await;
            limits.check(&[limit(id)]).await;
        }
        let generations = limits.generations();
        assert_eq!((generations.young.len(), generations.old.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_when_it_may_be_and_promised_for_when_it_is() {
        let (limits, asked) = (LocalLimits::new(), Instant::now());
        let answered = asked + Duration::from_millis(80);
        limits.note(&[limit(1), limit(1)], asked, answered);
        let before = asked + MINUTE - Duration::from_millis(1);
        assert_eq!(limits.refusal(&[limit(1)], before).unwrap().retry_after(), Duration::from_millis(81));
        assert!(limits.refusal(&[limit(1)], asked + MINUTE).is_none(), "the other decides");
    }

    #[tokio::test(start_paused = true)]
    async fn times_that_come_late_are_put_in_their_place() {
        let (limits, now) = (LocalLimits::new(), Instant::now());
        let second = Duration::from_secs(1);
        limits.note(&[limit(1)], now + second, now + second);
        limits.note(&[limit(1)], now, now);
        let refusal = limits.refusal(&[limit(1)], now + second).unwrap();
        assert_eq!(refusal.retry_after(), MINUTE - second);
        limits.note(&[limit(1)], now + second, now + second);
        let refusal = limits.refusal(&[limit(1)], now + second).unwrap();
        assert_eq!(refusal.retry_after(), MINUTE, "two of three must leave");
    }
}
