//! Redlock for slots.

use crate::{
    Settings,
    hold::{Background, Guard},
    node::Node,
    settings::InvalidSettings,
    tally::{Tally, Verdict, Vote},
};
use amrutam_booking::ports::{LockOutcome, SlotLocks};
use amrutam_kernel::SlotId;
use async_trait::async_trait;
use futures::future::join_all;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, histogram};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a node may take at the start before it is left out.
const START_LIMIT: Duration = Duration::from_millis(600);
/// How often a contested lock is tried, each time after a random pause.
const ROUNDS: u32 = 3;
const PAUSE_MS: std::ops::RangeInclusive<u64> = 1..=8;

/// How a node does, by its place in the settings: its URL may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeHealth {
    /// Its place in [`Settings::urls`], from 0.
    pub index: usize,
    /// Whether it can be used.
    pub up: bool,
}

/// Redlock over independent nodes. Clones share everything; the nodes are watched until the last one is dropped.
#[derive(Clone)]
pub struct RedlockSlots(Arc<Inner>);

struct Inner {
    nodes: Vec<Arc<Node>>,
    ttl: Duration,
    deadline: Duration,
    prefix: String,
    background: Background,
    _watchers: DropGuard,
}

enum Round {
    Held(Guard),
    Taken,
    Contested(Tally),
    NoQuorum,
}

impl fmt::Debug for RedlockSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedlockSlots").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl RedlockSlots {
    /// Starts to watch the nodes and gives each a moment to answer. Nodes that don't are left out until they do.
    /// Needs a Tokio runtime, which also does the work in the background.
    ///
    /// # Errors
    /// When the settings are invalid; never because a node is down.
    pub async fn connect(settings: Settings) -> Result<Self, InvalidSettings> {
        describe();
        let endpoints = settings.endpoints()?;
        if endpoints.is_empty() {
            tracing::warn!("no lock nodes are configured: bookings go on without the slot lock");
        } else if endpoints.len() % 2 == 0 {
            tracing::warn!(
                nodes = endpoints.len(),
                "an even number of lock nodes survives no more failures than one less"
            );
        }
        let nodes: Vec<_> = endpoints
            .into_iter()
            .enumerate()
            .map(|(index, endpoint)| Arc::new(Node::new(index, endpoint, &settings.prefix)))
            .collect();
        let stop = CancellationToken::new();
        for node in &nodes {
            let (node, stop) = (Arc::clone(node), stop.clone());
            tokio::spawn(async move { stop.run_until_cancelled_owned(node.watch()).await });
        }
        // Those still silent by then are left out.
        drop(timeout(START_LIMIT, join_all(nodes.iter().map(|node| node.started()))).await);
        Ok(Self(Arc::new(Inner {
            nodes,
            ttl: Duration::from_millis(settings.ttl_ms),
            deadline: Duration::from_millis(settings.deadline_ms),
            prefix: settings.prefix,
            background: Background::here(),
            _watchers: stop.drop_guard(),
        })))
    }

    /// Which nodes are being used, as last seen.
    pub fn health(&self) -> Vec<NodeHealth> {
        self.0.nodes.iter().map(|node| NodeHealth { index: node.index(), up: node.is_up() }).collect()
    }

    /// Which nodes answer now, asked all at once.
    pub async fn ping(&self, limit: Duration) -> Vec<NodeHealth> {
        let ask = |node: &'_ Arc<Node>| {
            let node = Arc::clone(node);
            async move { NodeHealth { index: node.index(), up: node.ping(limit).await } }
        };
        join_all(self.0.nodes.iter().map(ask)).await
    }

    /// Waits until what is under way in the background has ended. `false` when `limit` comes first; what is not
    /// released by then ends with its lifetime.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.0.background.drain(limit).await
    }
}

#[async_trait]
impl SlotLocks for RedlockSlots {
    async fn try_lock(&self, slot: SlotId) -> LockOutcome {
        let started = Instant::now();
        let key: Arc<str> = format!("{}{slot}", self.0.prefix).into();
        let outcome = self.0.attempt(&key, started + self.0.deadline).await;
        let word = match &outcome {
            LockOutcome::Held(_) => "held",
            LockOutcome::Taken => "taken",
            LockOutcome::Unavailable => "unavailable",
        };
        counter!("amrutam_lock_attempts_total", "outcome" => word).increment(1);
        histogram!("amrutam_lock_seconds").record(started.elapsed().as_secs_f64());
        outcome
    }
}

impl Inner {
    /// When several try at once, each may get some nodes and none a majority. If all of them were told "taken", nobody
    /// would book the slot. So whoever has some gives them back and tries again after a random pause.
    async fn attempt(&self, key: &Arc<str>, until: Instant) -> LockOutcome {
        let mut before: Option<Tally> = None;
        for _ in 0..ROUNDS {
            match self.round(key, until).await {
                Round::Held(guard) => return LockOutcome::Held(Box::new(guard)),
                Round::Taken => return LockOutcome::Taken,
                Round::NoQuorum => return LockOutcome::Unavailable,
                Round::Contested(now) => {
                    if before.is_some_and(|before| now.settled_since(&before)) {
                        return LockOutcome::Taken;
                    }
                    before = Some(now);
                }
            }
            let pause = Duration::from_millis(rand::random_range(PAUSE_MS));
            if Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
        }
        LockOutcome::Unavailable
    }

    async fn round(&self, key: &Arc<str>, until: Instant) -> Round {
        let guard = Guard::new(self.background.clone());
        let mut tally = Tally::of(self.nodes.len());
        let (votes, mut arrived) = mpsc::unbounded_channel();
        for node in &self.nodes {
            match node.line() {
                Some(line) => self.background.spawn(Arc::clone(node).vote(
                    line,
                    Arc::clone(key),
                    self.ttl,
                    self.deadline,
                    guard.hold(),
                    votes.clone(),
                )),
                None => tally.add(node.index(), Vote::Away),
            }
        }
        drop(votes);
        loop {
            match tally.verdict() {
                Some(Verdict::Ours) => return Round::Held(guard),
                Some(Verdict::Theirs) => return Round::Taken,
                Some(Verdict::Contested) => return Round::Contested(tally),
                Some(Verdict::NoQuorum) => return Round::NoQuorum,
                None => (),
            }
            match timeout_at(until, arrived.recv()).await {
                Ok(Some((node, vote))) => tally.add(node, vote),
                Ok(None) | Err(_) => return Round::NoQuorum,
            }
        }
    }
}

fn describe() {
    describe_counter!("amrutam_lock_attempts_total", "Attempts to lock a slot, by outcome");
    describe_histogram!(
        "amrutam_lock_seconds",
        metrics::Unit::Seconds,
        "Time to lock a slot or to know that it can't be"
    );
    describe_counter!("amrutam_lock_release_failures_total", "Locks left to end with their lifetime, one per node");
    describe_gauge!("amrutam_lock_node_up", "Whether a lock node is being used");
}
