//! Limits that all processes share.

use crate::{Cache, LocalLimits};
use amrutam_kernel::{LimitDecision, LimitState, RateLimit, RateLimiter};
use async_trait::async_trait;
use metrics::{counter, describe_counter};
use redis::Script;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Limits over Redis: one script, so one round trip and nothing between looking and counting, by the server's own clock.
///
/// Beside it the process remembers what it has itself let through. That is a part of what Redis counts, so a caller whom it
/// refuses is refused without asking; and it decides alone while Redis is away, so that neither an outage nor a flush
/// of Redis gives a caller more than the limit once again in each process.
pub struct Limits {
    cache: Option<Cache>,
    local: LocalLimits,
    script: Arc<Script>,
}

impl Limits {
    /// Over this Redis; without one each process counts for itself.
    pub fn new(cache: Option<Cache>) -> Self {
        describe_counter!(
            "amrutam_limit_checks_total",
            "Requests held against limits, by outcome and by who decided: redis, or the process alone"
        );
        Self { cache, local: LocalLimits::new(), script: Arc::new(Script::new(include_str!("limits.lua"))) }
    }

    async fn shared(&self, limits: &[RateLimit]) -> Option<LimitDecision> {
        let cache = self.cache.as_ref()?;
        let asked = |RateLimit { key, policy }: &RateLimit| {
            (cache.key("limit", key.as_str()), policy.requests(), micros(policy.window()))
        };
        let asked: Arc<[_]> = limits.iter().map(asked).collect();
        let script = Arc::clone(&self.script);
        let count = move |mut at| {
            let (script, asked) = (Arc::clone(&script), Arc::clone(&asked));
            async move {
                let mut call = script.prepare_invoke();
                for (key, requests, window) in asked.iter() {
                    call.key(key).arg(requests).arg(window);
                }
                call.invoke_async::<Vec<u64>>(&mut at).await
            }
        };
        let reply = cache.call(count).await.ok()?;
        decision(limits, &reply)
    }
}

#[async_trait]
impl RateLimiter for Limits {
    async fn check(&self, limits: &[RateLimit]) -> LimitDecision {
        let now = Instant::now();
        let (decision, by) = if let Some(refusal) = self.local.refusal(limits, now) {
            (refusal, "process")
        } else if let Some(decision) = self.shared(limits).await {
            if decision.allowed {
                self.local.note(limits, now, Instant::now());
            }
            (decision, "redis")
        } else {
            (self.local.decide(limits, now), "process")
        };
        let outcome = if decision.allowed { "allowed" } else { "refused" };
        counter!("amrutam_limit_checks_total", "outcome" => outcome, "by" => by).increment(1);
        decision
    }
}

fn decision(limits: &[RateLimit], reply: &[u64]) -> Option<LimitDecision> {
    let (allowed, numbers) = reply.split_first()?;
    let (numbers, rest) = numbers.as_chunks::<2>();
    if numbers.len() != limits.len() || !rest.is_empty() {
        return None;
    }
    let state = |(limit, [remaining, reset]): (&RateLimit, &[u64; 2])| {
        let remaining = u32::try_from(*remaining).unwrap_or(u32::MAX);
        LimitState { policy: limit.policy, remaining, reset_after: Duration::from_micros(*reset) }
    };
    Some(LimitDecision { allowed: *allowed == 1, states: limits.iter().zip(numbers).map(state).collect() })
}

fn micros(window: Duration) -> u64 {
    u64::try_from(window.as_micros()).unwrap_or(u64::MAX)
}
