//! What every limiter does: that of one process and that of Redis alike.

use crate::{cache, support::RedisNode};
use amrutam_kernel::{LimitKey, LimitPolicy, RateLimit, RateLimiter};
use amrutam_redis::{Limits, LocalLimits};
use futures::future::join_all;
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn limit(id: u32, requests: u32, window: Duration) -> RateLimit {
    let requests = NonZeroU32::new(requests).unwrap();
    RateLimit { key: LimitKey::new("test", "number", id), policy: LimitPolicy::new(requests, window) }
}

/// How many of so many at once are allowed.
pub(crate) async fn passed(limiters: &[Arc<dyn RateLimiter>], limit: &RateLimit, at_once: usize) -> usize {
    let tasks = (0..at_once).map(|task| {
        let (limiter, limit) = (Arc::clone(&limiters[task % limiters.len()]), limit.clone());
        tokio::spawn(async move { limiter.check(&[limit]).await.allowed })
    });
    join_all(tasks).await.into_iter().filter(|allowed| *allowed.as_ref().unwrap()).count()
}

async fn of_many_at_once_exactly_the_limit_passes(limiter: Arc<dyn RateLimiter>) {
    assert_eq!(passed(&[limiter], &limit(1, 100, MINUTE), 200).await, 100);
}

async fn each_is_told_what_remains_and_the_one_too_many_when_to_come_back(limiter: Arc<dyn RateLimiter>) {
    let limits = [limit(1, 100, MINUTE)];
    let began = Instant::now();
    for used in 1..=100 {
        let decision = limiter.check(&limits).await;
        assert_eq!((decision.allowed, decision.states[0].remaining), (true, 100 - used));
        assert_eq!((decision.states[0].policy, decision.retry_after()), (limits[0].policy, Duration::ZERO));
        let reset = decision.states[0].reset_after;
        assert!(reset <= MINUTE && reset + began.elapsed() >= MINUTE, "{reset:?}");
    }
    let refused = limiter.check(&limits).await;
    assert_eq!((refused.allowed, refused.states[0].remaining), (false, 0));
    let wait = refused.retry_after();
    assert!(wait < MINUTE && wait + began.elapsed() >= MINUTE, "{wait:?}");
}

async fn all_limits_are_used_or_none(limiter: Arc<dyn RateLimiter>) {
    let limits = [limit(1, 5, MINUTE), limit(2, 2, MINUTE / 2)];
    let [wide, tight] = &limits;
    for _ in 0..2 {
        assert!(limiter.check(&limits).await.allowed);
    }
    for _ in 0..10 {
        let refused = limiter.check(&limits).await;
        assert_eq!((refused.allowed, refused.states[0].remaining, refused.states[1].remaining), (false, 3, 0));
        assert!(refused.retry_after() <= MINUTE / 2, "the wide one needs no waiting for");
    }
    assert_eq!(limiter.check(std::slice::from_ref(wide)).await.states[0].remaining, 2);
    assert!(!limiter.check(std::slice::from_ref(tight)).await.allowed);
    // In the other order, too: what comes first is not used before what comes second has been seen.
    let refused = limiter.check(&[tight.clone(), wide.clone()]).await;
    assert_eq!((refused.allowed, refused.states[1].remaining), (false, 2));
}

async fn callers_do_not_count_against_each_other(limiter: Arc<dyn RateLimiter>) {
    for id in 0..20 {
        let limits = [limit(id, 1, MINUTE)];
        assert!(limiter.check(&limits).await.allowed);
        assert!(!limiter.check(&limits).await.allowed);
    }
}

async fn the_window_slides(limiter: Arc<dyn RateLimiter>) {
    let window = Duration::from_millis(1_500);
    let limits = [limit(1, 2, window)];
    assert!(limiter.check(&limits).await.allowed);
    sleep(window / 2).await;
    assert!(limiter.check(&limits).await.allowed);
    let second = Instant::now();
    let refused = limiter.check(&limits).await;
    assert!(!refused.allowed && refused.retry_after() <= window / 2);
    sleep(refused.retry_after()).await;
    assert!(limiter.check(&limits).await.allowed, "the first has left");
    let refused = limiter.check(&limits).await;
    let left = window.saturating_sub(second.elapsed());
    assert!(!refused.allowed, "the second has not");
    assert!(refused.retry_after() + Duration::from_millis(300) >= left, "{:?} of {left:?}", refused.retry_after());
    sleep(refused.retry_after()).await;
    assert!(limiter.check(&limits).await.allowed);
}

/// Two buckets or a window that starts anew would let up to twice as many through.
async fn no_span_holds_more_than_the_limit(limiter: Arc<dyn RateLimiter>) {
    let window = Duration::from_millis(500);
    let limits = [limit(1, 20, window)];
    let (began, mut allowed) = (Instant::now(), Vec::new());
    while began.elapsed() < window * 5 {
        let before = Instant::now();
        if limiter.check(&limits).await.allowed {
            allowed.push((before, Instant::now()));
        }
        sleep(Duration::from_millis(u64::from(rand::random_range(0..20_u32)))).await;
    }
    for span in allowed.windows(21) {
        let longest = span[20].1 - span[0].0;
        assert!(longest >= window, "21 within {longest:?}");
    }
    assert!(allowed.len() >= 60, "only {} in five windows: too few were let back in", allowed.len());
}

async fn who_is_refused_loses_nothing_by_asking(limiter: Arc<dyn RateLimiter>) {
    let window = Duration::from_millis(500);
    let limits = [limit(1, 1, window)];
    assert!(limiter.check(&limits).await.allowed);
    let began = Instant::now();
    while !limiter.check(&limits).await.allowed {
        assert!(began.elapsed() < window * 4, "each refusal moves the end");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn a_limit_that_was_lowered_waits_for_as_many_as_are_too_many(limiter: Arc<dyn RateLimiter>) {
    let began = Instant::now();
    for _ in 0..3 {
        limiter.check(&[limit(1, 10, MINUTE)]).await;
        sleep(Duration::from_millis(100)).await;
    }
    let refused = limiter.check(&[limit(1, 1, MINUTE)]).await;
    assert_eq!((refused.allowed, refused.states[0].remaining), (false, 0));
    let third = Duration::from_millis(200);
    assert!(refused.retry_after() + began.elapsed() >= MINUTE + third, "{:?}", refused.retry_after());
}

macro_rules! contract {
    ($limiter:expr; $($case:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (_keep, limiter) = $limiter.await;
            super::$case(limiter).await;
        }
    )+};
    ($limiter:expr) => {
        contract! { $limiter;
            of_many_at_once_exactly_the_limit_passes
            each_is_told_what_remains_and_the_one_too_many_when_to_come_back
            all_limits_are_used_or_none
            callers_do_not_count_against_each_other
            the_window_slides
            no_span_holds_more_than_the_limit
            who_is_refused_loses_nothing_by_asking
            a_limit_that_was_lowered_waits_for_as_many_as_are_too_many
        }
    };
}

mod of_one_process {
    contract!(super::local());
}

mod of_redis {
    contract!(super::shared());
}

/// So that what the process remembers hides nothing: each check is another process'.
mod of_redis_by_many_processes {
    contract!(super::by_many());
}

async fn local() -> ((), Arc<dyn RateLimiter>) {
    ((), Arc::new(LocalLimits::new()))
}

async fn shared() -> (RedisNode, Arc<dyn RateLimiter>) {
    let node = RedisNode::start().await;
    let limits = Limits::new(Some(cache(&node).await));
    (node, Arc::new(limits))
}

async fn by_many() -> (RedisNode, Arc<dyn RateLimiter>) {
    let node = RedisNode::start().await;
    let cache = cache(&node).await;
    (node, Arc::new(Fresh(cache)))
}

struct Fresh(amrutam_redis::Cache);

#[async_trait::async_trait]
impl RateLimiter for Fresh {
    async fn check(&self, limits: &[RateLimit]) -> amrutam_kernel::LimitDecision {
        Limits::new(Some(self.0.clone())).check(limits).await
    }
}
