//! The pool, and a connection that is closed unless its work was seen to end.

use crate::{
    booking::{Viewed, Wanted},
    contacts::Reached,
    effects::Alone,
    error::DbError,
    gate::Asked,
    group::Group,
    messages::{Plan, SettledRow},
    target::Target,
};
use amrutam_booking::ports::Changes;
use amrutam_kernel::{Dependency, PortError};
use amrutam_settings::{Problems, SecretUrl, Validate};
use deadpool::{Runtime, managed::Timeouts};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    methods::LoadQuery,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Object, deadpool::Pool,
    },
};
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Section `database`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the primary is. `?sslmode=verify-full` encrypts, and checks the server's certificate against the public
    /// authorities, or those of `&sslrootcert=/path/ca.pem`.
    pub url: SecretUrl,
    /// A role to take on after logging in, for a log-in that can do more than the app may.
    #[serde(default)]
    pub role: Option<String>,
    /// Connections of this process. More than 8 to 16 gain nothing on small machines.
    #[serde(default = "default_pool_size")]
    pub pool_size: usize,
    /// How long a request waits for a connection, in milliseconds.
    #[serde(default = "default_wait_ms")]
    pub wait_ms: u64,
    /// How long a statement may run, in milliseconds; the server's limit, and with a margin ours.
    #[serde(default = "default_statement_timeout_ms")]
    pub statement_timeout_ms: u64,
    /// How long a statement may wait for a lock, in milliseconds.
    #[serde(default = "default_lock_timeout_ms")]
    pub lock_timeout_ms: u64,
}

fn default_pool_size() -> usize {
    16
}
fn default_wait_ms() -> u64 {
    2_000
}
fn default_statement_timeout_ms() -> u64 {
    5_000
}
fn default_lock_timeout_ms() -> u64 {
    500
}

impl Settings {
    /// The defaults for a server.
    pub fn for_url(url: SecretUrl) -> Self {
        Self {
            url,
            role: None,
            pool_size: default_pool_size(),
            wait_ms: default_wait_ms(),
            statement_timeout_ms: default_statement_timeout_ms(),
            lock_timeout_ms: default_lock_timeout_ms(),
        }
    }
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.check((1..=200).contains(&self.pool_size), "pool_size", "1 to 200");
        problems.check((100..=60_000).contains(&self.wait_ms), "wait_ms", "100 to 60000 milliseconds");
        problems.check(
            (100..=60_000).contains(&self.statement_timeout_ms),
            "statement_timeout_ms",
            "100 to 60000 milliseconds",
        );
        problems.check((10..=30_000).contains(&self.lock_timeout_ms), "lock_timeout_ms", "10 to 30000 milliseconds");
        let plain = |role: &String| !role.is_empty() && role.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        problems.check(self.role.as_ref().is_none_or(plain), "role", "letters, digits and underscores");
        if let Err(problem) = Target::of(self.url.expose()) {
            problems.add("url", problem);
        }
    }
}

/// How full the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that exist.
    pub size: usize,
    /// Of these, idle.
    pub available: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// The stores of all domains over one pool, but for what is kept sealed: see [`Accounts`](crate::Accounts). Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool<AsyncPgConnection>,
    settings: Settings,
    pub(crate) groups: Arc<Groups>,
}

/// The calls that go together.
#[derive(Default)]
pub(crate) struct Groups {
    pub(crate) snapshots: Group<Wanted>,
    pub(crate) bookings: Group<Changes>,
    pub(crate) plans: Group<Plan>,
    pub(crate) settlements: Group<SettledRow>,
    pub(crate) views: Group<Viewed>,
    pub(crate) contacts: Group<Reached>,
    pub(crate) sessions: Group<Asked>,
    pub(crate) effects: Group<Alone>,
}

impl Postgres {
    /// A pool that connects when first used and again whenever the server comes back. Call it on the runtime that lives
    /// longest: that one drives all connections, whoever asks for them.
    pub fn connect(settings: &Settings) -> Result<Self, PortError> {
        let runtime = Handle::try_current().map_err(|error| PortError::defect(Dependency::Database, error))?;
        let defect = |error: &dyn std::fmt::Display| PortError::defect(Dependency::Database, error);
        let mut target = Target::of(settings.url.expose()).map_err(|error| defect(&error))?;
        let config = &mut target.config;
        let mut options = config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
        options.push_str(&format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=5000 -c timezone=UTC",
            settings.statement_timeout_ms, settings.lock_timeout_ms
        ));
        // A call that was dropped while it waited for a lock must not keep its own.
        options.push_str(" -c client_connection_check_interval=300");
        // Nor must a machine that vanished without a word keep its locks, a leader's above all: the server asks after it. By itself
        // it would after two hours.
        options.push_str(" -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000");
        // Plans are kept as long as a connection. Made while a table is small it would be read as a whole, and still be when it
        // has grown, until its statistics are taken. And a plan that has to is no reason to compile it.
        options.push_str(" -c enable_seqscan=off -c jit=off");
        if let Some(role) = &settings.role {
            options.push_str(&format!(" -c role={role}"));
        }
        config.options(&options);
        config.application_name("amrutam");
        config.connect_timeout(Duration::from_secs(2));
        // A server that vanished without a word is noticed while we wait for it, too.
        config.tcp_user_timeout(Duration::from_secs(10));

        let mut manager = ManagerConfig::default();
        // No ping on checkout: it costs a third of the bookings per second; a broken connection is found by its first use.
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_| establish(&runtime, target.clone()));
        let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config("", manager);
        let wait = Some(Duration::from_millis(settings.wait_ms));
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size)
            .timeouts(Timeouts { wait, create: wait, recycle: wait })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| defect(&error))?;
        Ok(Self { pool, settings: settings.clone(), groups: Arc::default() })
    }

    /// Where the audit log is: in this database, or, with a URL, in another one, with a few connections of its own.
    pub fn with_audit_at(&self, url: Option<&SecretUrl>) -> Result<Self, PortError> {
        match url {
            None => Ok(self.clone()),
            Some(url) => Self::connect(&Settings { url: url.clone(), pool_size: 4, ..self.settings.clone() }),
        }
    }

    /// How full the pool is.
    pub fn pool_status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus { size: status.size, available: status.available, waiting: status.waiting }
    }

    /// Whether the server answers within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<(), PortError> {
        let ask = async {
            let mut conn = self.connection().await?;
            let result = bounded(conn.limit(), diesel::sql_query("SELECT 1").execute(conn.raw()?)).await;
            conn.settle(result).map(drop).map_err(PortError::from)
        };
        let late = |_| PortError::unavailable(Dependency::Database, "no answer to a ping");
        tokio::time::timeout(timeout, ask).await.map_err(late)?
    }

    /// A connection outside of the pool, for a reader of very much.
    pub(crate) async fn raw_client(&self) -> Result<tokio_postgres::Client, PortError> {
        let away = |error: &dyn std::fmt::Display| PortError::unavailable(Dependency::Database, error);
        let mut target = Target::of(self.settings.url.expose()).map_err(|error| away(&error))?;
        let role = self.settings.role.as_ref().map(|role| format!("-c role={role} ")).unwrap_or_default();
        target.config.options(format!("{role}-c statement_timeout=60000 -c timezone=UTC -c jit=off"));
        target.config.application_name("amrutam audit").connect_timeout(Duration::from_secs(5));
        target.client().await.map_err(|error| away(&error))
    }

    /// Closes idle connections and refuses new work.
    pub fn close(&self) {
        self.pool.close();
    }

    /// One statement, one row. Boxed, because callers' futures could not be shown to be `Send` otherwise.
    pub(crate) fn ask<'q, T, Q>(&'q self, query: Q) -> BoxFuture<'q, Result<T, DbError>>
    where
        T: Send + 'q,
        Q: LoadQuery<'q, AsyncPgConnection, T> + Send + 'q,
    {
        async move {
            let mut conn = self.connection().await?;
            let result = bounded(conn.limit(), query.get_result::<T>(conn.raw()?)).await;
            conn.settle(result)
        }
        .boxed()
    }

    /// A connection for one piece of work.
    pub(crate) async fn connection(&self) -> Result<Connection, DbError> {
        let object = self.pool.get().await.map_err(|error| DbError::NoConnection(error.to_string()))?;
        // The server gives up first, so that its answer tells why; ours is for a server that does not answer at all.
        let limit = Duration::from_millis(self.settings.statement_timeout_ms + 1_000);
        Ok(Connection { object: Some(object), limit })
    }
}

/// On `runtime`: a connection lives no longer than the runtime on which it was made, and a pool's callers may each have
/// one of their own.
fn establish(runtime: &Handle, target: Target) -> BoxFuture<'static, ConnectionResult<AsyncPgConnection>> {
    let making = AbortOnDropHandle::new(runtime.spawn(target.connect()));
    async move { making.await.unwrap_or_else(|error| Err(ConnectionError::BadConnection(error.to_string()))) }.boxed()
}

/// A pooled connection. Dropped before [`Connection::settle`], it is closed: what it was doing may still be going on, and
/// nobody else should wait for that or inherit an open transaction.
pub(crate) struct Connection {
    object: Option<Object<AsyncPgConnection>>,
    limit: Duration,
}

impl Connection {
    /// Ends the work: the connection goes back to the pool unless it is in doubt.
    pub(crate) fn settle<T>(mut self, result: Result<T, DbError>) -> Result<T, DbError> {
        if result.as_ref().err().is_none_or(DbError::leaves_connection_sound) {
            // Dropping the object is what gives it back.
            drop(self.object.take());
        }
        result
    }

    /// The connection itself.
    pub(crate) fn raw(&mut self) -> Result<&mut AsyncPgConnection, DbError> {
        let object = self.object.as_deref_mut();
        object.ok_or_else(|| DbError::NoConnection("already settled".to_owned()))
    }

    /// How long a piece of work may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            // Out of the pool, and closed; the pool makes another when one is needed.
            drop(Object::take(object));
        }
    }
}

/// Runs one piece of work within the connection's limit.
pub(crate) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, diesel::result::Error>>,
) -> Result<T, DbError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(DbError::from),
        Err(_) => Err(DbError::NoAnswer),
    }
}
