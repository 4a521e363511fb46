//! A template, migrated once per process, and a copy of it for whoever asks.

use amrutam_postgres::{Postgres, Settings};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio_postgres::{Client, NoTls, error::SqlState, types::ToSql};
use url::Url;

const PREFIX: &str = "amrutam_test_";

/// A database of its own, dropped with this value: also when its test panics.
pub(crate) struct Database {
    name: String,
}

/// A plain session beside the pool.
pub(crate) struct Session(Client);

/// Makes and drops all databases on a runtime of its own, because tests come and go with theirs.
struct Keeper {
    run: String,
    runtime: tokio::runtime::Runtime,
    /// Its session keeps the lock that tells other runs that this one lives.
    creating: Client,
    dropping: Client,
}

impl Database {
    /// Empty and migrated.
    pub(crate) fn new() -> Self {
        let keeper = keeper();
        keeper.create(&format!("TEMPLATE {PREFIX}{}", keeper.run))
    }

    /// One for all who ask for it at the same time, and do not mind each other.
    pub(crate) fn shared() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Database>> = Mutex::new(Weak::new());
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::new());
            *current = Arc::downgrade(&made);
            made
        })
    }

    /// Without any migration.
    pub(crate) fn bare() -> Self {
        keeper().create("")
    }

    /// For the role that runs migrations.
    pub(crate) fn owner_url(&self) -> String {
        self.url("ADMIN_DATABASE_URL")
    }

    /// A pool of the app's role, patient, because a busy machine is slow to log in (unoptimized, SCRAM takes long); else as in
    /// production, except for what `adjust` changes.
    pub(crate) fn pool_with(&self, adjust: impl FnOnce(&mut Settings)) -> Postgres {
        let mut settings = Settings::for_url(self.url("DATABASE_URL").parse().unwrap());
        settings.wait_ms = 20_000;
        adjust(&mut settings);
        Postgres::connect(&settings).unwrap()
    }

    pub(crate) async fn owner(&self) -> Session {
        Session::open(&self.owner_url()).await
    }

    pub(crate) async fn app(&self) -> Session {
        Session::open(&self.url("DATABASE_URL")).await
    }

    pub(crate) async fn reader(&self) -> Session {
        Session::open(&self.url("READER_DATABASE_URL")).await
    }

    fn url(&self, variable: &str) -> String {
        let mut url = server_url(variable);
        url.set_path(&self.name);
        url.into()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        keeper().remove(&self.name);
    }
}

impl Session {
    pub(crate) async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// An error is its SQLSTATE and message.
    pub(crate) async fn try_run(&self, sql: &str) -> Result<(), String> {
        self.0.batch_execute(sql).await.map_err(|error| match error.as_db_error() {
            Some(db) => format!("{} {}", db.code().code(), db.message()),
            None => error.to_string(),
        })
    }

    /// The first column of every row, as text.
    pub(crate) async fn column(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<String> {
        let rows = self.0.query(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
    }

    /// A count.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.0.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }
}

fn server_url(variable: &str) -> Url {
    let Ok(text) = std::env::var(variable) else {
        panic!(
            "{variable} is not set: these tests need PostgreSQL. `make test` starts one and runs them; to use one that \
             runs already: set -a; eval \"$(infra/dev/servers env)\"; set +a"
        )
    };
    text.parse().unwrap_or_else(|_| panic!("{variable} is not a URL"))
}

fn keeper() -> &'static Keeper {
    static KEEPER: OnceLock<Result<Keeper, String>> = OnceLock::new();
    let admin = server_url("ADMIN_DATABASE_URL");
    // On a plain thread: a runtime's own threads may not wait for another.
    let start = || thread::spawn(move || Keeper::start(&admin)).join().unwrap_or(Err("a panic".to_owned()));
    KEEPER.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("no template database: {error}"))
}

impl Keeper {
    fn start(admin: &Url) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let run = super::word();
        let (creating, dropping) = runtime.block_on(prepare(admin, &format!("{PREFIX}{run}")))?;
        Ok(Self { run, runtime, creating, dropping })
    }

    fn create(&'static self, template: &str) -> Database {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}_{}", self.run, LAST.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name} {template}");
        self.wait(async move { self.creating.batch_execute(&sql).await }).unwrap();
        Database { name }
    }

    fn remove(&'static self, name: &str) {
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        let dropped = self.wait(async move {
            let mut tries = 0;
            loop {
                match self.dropping.batch_execute(&sql).await {
                    // An autovacuum worker is in there, which only a superuser may end.
                    Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) && tries < 50 => tries += 1,
                    done => return done,
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        if let Err(error) = dropped {
            // The next run sweeps it.
            eprintln!("{name} stays for now: {error:?}");
        }
    }

    fn wait<T: Send + 'static>(&'static self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (answer, answered) = mpsc::channel();
        self.runtime.spawn(async move { answer.send(work.await) });
        answered.recv().expect("the keeper's task panicked")
    }
}

async fn prepare(admin: &Url, template: &str) -> Result<(Client, Client), String> {
    let text = |error: tokio_postgres::Error| format!("{error:?}");
    let connect = async || -> Result<Client, String> {
        let (client, connection) = tokio_postgres::connect(admin.as_str(), NoTls).await.map_err(text)?;
        tokio::spawn(connection);
        Ok(client)
    };
    let client = connect().await?;
    let lock = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
    assert!(client.query_one(lock, &[&template]).await.map_err(text)?.get::<_, bool>(0));

    // What earlier runs left behind: their template, and more if they were killed.
    let left = client.query("SELECT datname::text FROM pg_database WHERE datname LIKE $1 || '%'", &[&PREFIX]).await;
    let left: Vec<String> = left.map_err(text)?.iter().map(|row| row.get(0)).collect();
    let template_of = |name: &str| PREFIX.to_owned() + name[PREFIX.len()..].split('_').next().unwrap();
    let runs: BTreeSet<_> = left.iter().map(|name| template_of(name)).filter(|run| run != template).collect();
    for run in runs {
        if client.query_one(lock, &[&run]).await.map_err(text)?.get(0) {
            for name in left.iter().filter(|name| template_of(name) == run) {
                client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.map_err(text)?;
            }
            client.query_one("SELECT pg_advisory_unlock(hashtextextended($1, 0))", &[&run]).await.map_err(text)?;
        }
    }

    client.batch_execute(&format!("CREATE DATABASE {template}")).await.map_err(text)?;
    let mut url = admin.clone();
    url.set_path(template);
    amrutam_postgres::migrate(url.as_str()).await.map_err(|error| error.to_string())?;
    Ok((client, connect().await?))
}
