//! One Redis node: its lock manager, its breaker and the watcher that closes the breaker again.

use crate::{
    hold::{Held, Hold, release},
    settings::Endpoint,
    tally::Vote,
};
use bb8_redis::RedisConnectionManager;
use metrics::gauge;
use redis::{
    Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use rslock::{Lock, LockManager};
use std::{
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender, watch},
    time::{sleep, timeout},
};

/// This many failures in a row open the breaker.
const FAILURES: u32 = 3;
const FIRST_COOL_DOWN: Duration = Duration::from_millis(500);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(5);
const PROBE_LIMIT: Duration = Duration::from_millis(500);
const PROBE_TTL: Duration = Duration::from_secs(2);
/// `rslock` gives up on a hung node after about 1.5 s: half a second each to lock, to take back and to look.
const STRAGGLER_LIMIT: Duration = Duration::from_secs(2);
/// What is deleted is ours; anything else is somebody else's by now, or gone.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
});
/// What a hung node can pile up; far more than a healthy one ever has.
const IN_FLIGHT: usize = 256;
const PING_CONNECTIONS: u32 = 1;
const PING_CONNECTION_TIMEOUT: Duration = Duration::from_millis(250);

pub(crate) struct Node {
    index: usize,
    client: redis::Client,
    prefix: String,
    state: watch::Sender<State>,
    pings: bb8::Pool<RedisConnectionManager>,
    // bb8 starves those who wait for a connection; the semaphore serves them in turn.
    ping_turns: Semaphore,
}

enum State {
    Starting,
    Up(Arc<Line>),
    Away,
}

/// A lock manager known to work, and what has been seen of it. Renewed whenever the breaker closes, so that nothing
/// queues behind what a hung connection left.
pub(crate) struct Line {
    manager: LockManager,
    /// `rslock` does not tell whether it released a lock, so releases go their own way.
    releases: ConnectionManager,
    in_flight: Semaphore,
    failures: AtomicU32,
}

enum Answer {
    Ours(Lock),
    Theirs(Vec<u8>),
    Failed,
    /// The attempt ended before the node was asked.
    Moot,
}

impl Line {
    fn new(manager: LockManager, releases: ConnectionManager) -> Self {
        Self { manager, releases, in_flight: Semaphore::new(IN_FLIGHT), failures: AtomicU32::new(0) }
    }

    /// Whether the key is known not to be ours any more.
    pub(crate) async fn delete(&self, lock: &Lock) -> bool {
        let mut at = self.releases.clone();
        let mut call = RELEASE.prepare_invoke();
        call.key(&lock.resource).arg(&lock.val).invoke_async::<u8>(&mut at).await.is_ok()
    }

    /// `rslock` says "unavailable" for held and for down. The node's own answer to GET tells which, on the connection
    /// that `rslock` has already opened: only before its first connection would it report "no such key" for "no node".
    async fn ask(&self, key: &str, ttl: Duration, hold: &Hold) -> Answer {
        let Ok(_turn) = self.in_flight.acquire().await else {
            return Answer::Failed;
        };
        for _ in 0..2 {
            if hold.is_closed() {
                return Answer::Moot;
            }
            if let Ok(lock) = self.manager.lock(key, ttl).await {
                return Answer::Ours(lock);
            }
            match self.manager.query_redis_for_key_value(key.as_bytes()).await {
                Ok(Some(value)) => return Answer::Theirs(value),
                // Released in this moment, or the connection was cut and is renewed by now: worth another try.
                Ok(None) => (),
                Err(_) => return Answer::Failed,
            }
        }
        // It answers but takes no writes (full, read-only): reporting it as held would refuse every booking.
        Answer::Failed
    }
}

impl Node {
    pub(crate) fn new(index: usize, endpoint: Endpoint, prefix: &str) -> Self {
        // Tested on check-out: that test is the ping, and it weeds out connections cut by a restart.
        let pings = bb8::Pool::builder()
            .max_size(PING_CONNECTIONS)
            .connection_timeout(PING_CONNECTION_TIMEOUT)
            .test_on_check_out(true)
            .build_unchecked(endpoint.pooled);
        let node = Self {
            index,
            client: endpoint.client,
            prefix: prefix.to_owned(),
            state: watch::Sender::new(State::Starting),
            pings,
            ping_turns: Semaphore::new(PING_CONNECTIONS as usize),
        };
        node.report(false);
        node
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What to ask, while the breaker is closed.
    pub(crate) fn line(&self) -> Option<Arc<Line>> {
        match &*self.state.borrow() {
            State::Up(line) => Some(Arc::clone(line)),
            State::Starting | State::Away => None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Ends with the first probe.
    pub(crate) async fn started(&self) {
        let mut changes = self.state.subscribe();
        drop(changes.wait_for(|state| !matches!(state, State::Starting)).await);
    }

    /// Asks the node on behalf of one attempt and sees it through to the end, also after the attempt has.
    pub(crate) async fn vote(
        self: Arc<Self>,
        line: Arc<Line>,
        key: Arc<str>,
        ttl: Duration,
        patience: Duration,
        hold: Arc<Hold>,
        votes: UnboundedSender<(usize, Vote)>,
    ) {
        let mut asked = pin!(line.ask(&key, ttl, &hold));
        let answer = match timeout(patience, &mut asked).await {
            Ok(answer) => {
                match &answer {
                    Answer::Ours(_) | Answer::Theirs(_) => line.failures.store(0, Ordering::Relaxed),
                    Answer::Failed => self.failed(&line),
                    Answer::Moot => (),
                }
                answer
            }
            Err(_) => {
                self.failed(&line);
                timeout(STRAGGLER_LIMIT, asked).await.unwrap_or(Answer::Failed)
            }
        };
        let vote = match answer {
            Answer::Ours(lock) => match hold.keep(Held { lock, line: Arc::clone(&line) }) {
                Ok(()) => Vote::Ours,
                Err(late) => return release(late).await,
            },
            Answer::Theirs(value) => Vote::Theirs(value),
            Answer::Failed | Answer::Moot => Vote::Away,
        };
        // Nobody listens once the attempt is decided.
        drop(votes.send((self.index, vote)));
    }

    fn failed(&self, line: &Arc<Line>) {
        if line.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES {
            return;
        }
        let opened = self.state.send_if_modified(|state| match state {
            // What an earlier connection still reports says nothing about this one.
            State::Up(current) if Arc::ptr_eq(current, line) => {
                *state = State::Away;
                true
            }
            State::Up(_) | State::Starting | State::Away => false,
        });
        if opened {
            self.report(false);
            tracing::warn!(node = self.index, "a lock node is away; it is left out until it answers again");
        }
    }

    /// Closes the breaker whenever a probe succeeds: at the start, and after each time it has opened. Never ends.
    pub(crate) async fn watch(&self) {
        let mut changes = self.state.subscribe();
        loop {
            let mut cool_down = FIRST_COOL_DOWN;
            let line = loop {
                if let Some(line) = self.probe().await {
                    break line;
                }
                if matches!(self.state.send_replace(State::Away), State::Starting) {
                    let reason = self.reason().await;
                    tracing::warn!(
                        node = self.index,
                        reason,
                        "a lock node does not answer at the start; it is left out until it does"
                    );
                }
                sleep(jittered(cool_down)).await;
                cool_down = (cool_down * 2).min(LONGEST_COOL_DOWN);
            };
            self.state.send_replace(State::Up(Arc::new(line)));
            self.report(true);
            tracing::info!(node = self.index, "a lock node answers");
            if changes.wait_for(|state| matches!(state, State::Away)).await.is_err() {
                return;
            }
            sleep(jittered(FIRST_COOL_DOWN)).await;
        }
    }

    /// Takes and releases a lock nobody else wants: proves that the node takes writes, and opens the connection.
    async fn probe(&self) -> Option<Line> {
        let mut manager = LockManager::from_clients(vec![self.client.clone()]);
        // A delay of zero panics.
        manager.set_retry(1, Duration::from_millis(1));
        let key = format!("{}probe-{:032x}", self.prefix, rand::random::<u128>());
        let trial = async {
            let lock = manager.lock(key.as_str(), PROBE_TTL).await.ok()?;
            lock.release().await;
            // Renews itself; in the meantime locks are released on `rslock`'s.
            let config = ConnectionManagerConfig::new().set_number_of_retries(1);
            ConnectionManager::new_with_config(self.client.clone(), config).await.ok()
        };
        let releases = timeout(PROBE_LIMIT, trial).await.ok()??;
        Some(Line::new(manager, releases))
    }

    /// Why a probe has failed, which `rslock` keeps to itself: a wrong certificate looks like no node at all.
    async fn reason(&self) -> String {
        match timeout(PROBE_LIMIT, self.client.get_multiplexed_async_connection()).await {
            Ok(Ok(_)) => "it takes no locks".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no connection in time".to_owned(),
        }
    }

    /// Whether the node answers a PING now, over a connection of its own.
    pub(crate) async fn ping(&self, limit: Duration) -> bool {
        let answered = async {
            let Ok(_turn) = self.ping_turns.acquire().await else {
                return false;
            };
            self.pings.get().await.is_ok()
        };
        timeout(limit, answered).await.unwrap_or(false)
    }

    fn report(&self, up: bool) {
        gauge!("amrutam_lock_node_up", "node" => self.index.to_string()).set(f64::from(u8::from(up)));
    }
}

/// A random part of it, at least half: those who failed together don't come back together.
pub(crate) fn jittered(longest: Duration) -> Duration {
    longest.mul_f64(rand::random_range(0.5..=1.0))
}
