//! One Redis for what is shared and may be lost: a pool, a bound on every call, and a breaker.

use crate::{
    node::jittered,
    settings::{InvalidSettings, Settings},
};
use bb8::ManageConnection;
use bb8_redis::RedisConnectionManager;
use metrics::{describe_gauge, gauge};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long the pool tries to connect.
const CONNECT_LIMIT: Duration = Duration::from_millis(250);
/// What it may take at the start, and each time it is looked for.
const PROBE_LIMIT: Duration = Duration::from_millis(600);
/// Calls under way at one time. They share connections, so that those of a moment travel together: one write and one read for
/// many, here and at the server.
const IN_FLIGHT: usize = 256;
const FIRST_COOL_DOWN: Duration = Duration::from_millis(500);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(5);

/// One Redis, used with a bound in time: what it does not do within the deadline has failed, and after one such failure
/// it is left alone until it answers again, so that a hung one costs a caller one deadline at most. Clones share
/// everything; it is watched until the last one is dropped.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    link: Arc<Link>,
    prefix: String,
    runtime: Handle,
    _watcher: DropGuard,
}

struct Link {
    pool: bb8::Pool<Connections>,
    in_flight: Semaphore,
    deadline: Duration,
    era: Arc<AtomicU64>,
    up: watch::Sender<bool>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It is away, hung or too slow.
    Away,
    /// It answers, but did not do it: full, still loading. Or so many ask that this one was not heard.
    Refused,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Cache {
    /// Gives it a moment to answer, and goes on without. Nothing when no Redis is configured. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the settings are invalid; never because it is down.
    pub async fn connect(settings: &Settings) -> Result<Option<Self>, InvalidSettings> {
        settings.validate()?;
        let Some(manager) = settings.cache()? else { return Ok(None) };
        describe_gauge!("amrutam_cache_up", "Whether the Redis of limits and sessions is being used");
        let link = Arc::new(Link::new(manager, settings));
        let up = link.probe().await;
        link.set_up(up);
        if !up {
            tracing::warn!("the cache does not answer at the start; it is done without until it does");
        }
        let stop = CancellationToken::new();
        let (watched, stopped) = (Arc::clone(&link), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled_owned(watched.watch()).await });
        let (prefix, runtime) = (settings.cache_prefix.clone(), Handle::current());
        Ok(Some(Self(Arc::new(Inner { link, prefix, runtime, _watcher: stop.drop_guard() }))))
    }

    /// Whether it is being used, as last seen.
    pub fn is_up(&self) -> bool {
        *self.0.link.up.borrow()
    }

    pub(crate) fn key(&self, kind: &str, id: impl fmt::Display) -> String {
        format!("{}{kind}:{id}", self.0.prefix)
    }

    /// Does something there, unless it is away. `work` may run twice.
    ///
    /// It runs where the cache was connected, not on the caller's thread: one that serves requests may be busy, and would keep
    /// its connection from others for as long, and take its own slowness for the server's.
    pub(crate) async fn call<T, F>(
        &self,
        work: impl Fn(MultiplexedConnection) -> F + Send + 'static,
    ) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send,
    {
        if !self.is_up() {
            return Err(NoAnswer::Away);
        }
        let link = Arc::clone(&self.0.link);
        let asked = self.0.runtime.spawn(async move { link.ask(work).await });
        asked.await.unwrap_or(Err(NoAnswer::Refused))
    }
}

impl Link {
    fn new(manager: RedisConnectionManager, settings: &Settings) -> Self {
        let era = Arc::new(AtomicU64::new(0));
        // Tested on check-out without asking the server: that would double the round trips.
        let pool = bb8::Pool::builder()
            .max_size(settings.cache_connections)
            .connection_timeout(CONNECT_LIMIT)
            .test_on_check_out(true)
            // One connection carries what there is; the others are there when that one is being opened anew.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .build_unchecked(Connections { manager, era: Arc::clone(&era) });
        Self {
            pool,
            in_flight: Semaphore::new(IN_FLIGHT),
            deadline: Duration::from_millis(settings.cache_deadline_ms),
            era,
            up: watch::Sender::new(false),
        }
    }

    async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        work: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, NoAnswer> {
        let _turn = self.turn().await?;
        let outcome = self.attempt(work, Instant::now() + self.deadline).await;
        if outcome.as_ref().is_err_and(|error| *error == NoAnswer::Away) && self.set_up(false) {
            tracing::warn!("the cache is away; it is done without until it answers again");
        }
        outcome
    }

    async fn attempt<T, F: Future<Output = RedisResult<T>>>(
        &self,
        work: impl Fn(MultiplexedConnection) -> F,
        until: Instant,
    ) -> Result<T, NoAnswer> {
        // Twice: after a restart of the server the first try only finds out that the connections are cut.
        for _ in 0..2 {
            let Ok(Ok((connection, era))) = timeout_at(until, self.connection()).await else {
                return Err(NoAnswer::Away);
            };
            match timeout_at(until, work(connection)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if !needs_another_connection(&error) => return Err(NoAnswer::Refused),
                Ok(Err(_)) => self.leave_era(era),
                Err(_) => {
                    self.leave_era(era);
                    return Err(NoAnswer::Away);
                }
            }
        }
        Err(NoAnswer::Away)
    }

    /// A connection and the era of its opening. It goes back at once, for others to use beside this call.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), bb8::RunError<NoConnection>> {
        let pooled = self.pool.get().await?;
        Ok((pooled.connection.clone(), pooled.era))
    }

    /// Waiting for one's turn says nothing of the server: a busy process of ours does not make it away. And when it is, those who
    /// wait need not find out for themselves.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, NoAnswer> {
        let mut changes = self.up.subscribe();
        tokio::select! {
            biased;
            _ = changes.wait_for(|up| !up) => Err(NoAnswer::Away),
            turn = timeout(self.deadline, self.in_flight.acquire()) => turn.ok().and_then(Result::ok).ok_or(NoAnswer::Refused),
        }
    }

    /// What was opened in that era is not used again.
    fn leave_era(&self, era: u64) {
        // It fails when somebody else has left it already.
        let _ = self.era.compare_exchange(era, era + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn probe(&self) -> bool {
        let ping = |mut connection| async move { redis::cmd("PING").query_async::<String>(&mut connection).await };
        let until = Instant::now() + PROBE_LIMIT;
        let Ok(Ok(_turn)) = timeout_at(until, self.in_flight.acquire()).await else { return false };
        self.attempt(ping, until).await.is_ok()
    }

    /// Whether this is a change.
    fn set_up(&self, up: bool) -> bool {
        gauge!("amrutam_cache_up").set(f64::from(u8::from(up)));
        self.up.send_replace(up) != up
    }

    /// Closes the breaker when a probe succeeds, each time it has opened. Never ends.
    async fn watch(&self) {
        let mut changes = self.up.subscribe();
        while changes.wait_for(|up| !up).await.is_ok() {
            let mut cool_down = FIRST_COOL_DOWN;
            loop {
                sleep(jittered(cool_down)).await;
                if self.probe().await {
                    break;
                }
                cool_down = (cool_down * 2).min(LONGEST_COOL_DOWN);
            }
            self.set_up(true);
            tracing::info!("the cache answers");
        }
    }
}

/// A replica that was the primary is left, like a connection that is cut: the same name may lead to the new primary.
fn needs_another_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Connections that know when they were opened: bb8-redis takes any for sound.
struct Connections {
    manager: RedisConnectionManager,
    era: Arc<AtomicU64>,
}

struct Connection {
    connection: MultiplexedConnection,
    era: u64,
}

#[derive(Debug, thiserror::Error)]
enum NoConnection {
    #[error("can't be opened")]
    Failed(#[from] RedisError),
    #[error("is of an era that has ended")]
    Outdated,
}

impl ManageConnection for Connections {
    type Connection = Connection;
    type Error = NoConnection;

    async fn connect(&self) -> Result<Connection, NoConnection> {
        let era = self.era.load(Ordering::Relaxed);
        Ok(Connection { connection: self.manager.connect().await?, era })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), NoConnection> {
        if connection.era == self.era.load(Ordering::Relaxed) { Ok(()) } else { Err(NoConnection::Outdated) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.era != self.era.load(Ordering::Relaxed)
    }
}
