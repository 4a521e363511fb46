//! The server dies and comes back.

use crate::support::{Session, id, insert_account, now, vault};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{AccountId, PortError, Role};
use amrutam_postgres::{Accounts, Postgres, Settings};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const DIR: &str = ".dev/faults-pg";

/// A server of this test's own; stopped with this value.
struct OwnServer {
    root: PathBuf,
    // Two runs at once would kill each other's.
    _lock: File,
}

impl OwnServer {
    fn up() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap();
        std::fs::create_dir_all(root.join(DIR)).unwrap();
        let lock = File::create(root.join(DIR).join("test.lock")).unwrap();
        lock.lock().unwrap();
        let server = Self { root, _lock: lock };
        server.servers(&["up", "--dir", DIR, "postgres"]);
        server
    }

    fn servers(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.root.join("infra/dev/servers"));
        for variable in ["DATABASE_URL", "ADMIN_DATABASE_URL", "READER_DATABASE_URL", "REDIS_URLS", "AMQP_URL"] {
            command.env_remove(variable);
        }
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn url(&self, variable: &str) -> String {
        let environment = self.servers(&["env", "--dir", DIR]);
        let value = environment.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('=')).unwrap();
        value.trim_matches('\'').to_owned()
    }

    fn kill(&self) {
        let pid = self.servers(&["pid", "--dir", DIR, "postgres"]);
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.servers(&["down", "--dir", DIR, "postgres"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_fail_fast_while_the_server_is_dead_and_work_when_it_is_back() {
    let server = tokio::task::spawn_blocking(OwnServer::up).await.unwrap();
    let (owner_url, app_url) = (server.url("ADMIN_DATABASE_URL"), server.url("DATABASE_URL"));
    let owner = Session::open(&owner_url).await;
    owner.run("DROP DATABASE IF EXISTS faults WITH (FORCE)").await;
    owner.run("CREATE DATABASE faults").await;
    let faults = |url: &str| format!("{}/faults", url.rsplit_once('/').unwrap().0);
    amrutam_postgres::migrate(&faults(&owner_url)).await.unwrap();
    let store = Postgres::connect(&Settings::for_url(faults(&app_url).parse().unwrap())).unwrap();
    let account = AccountId::from_uuid(id(now()));
    let accounts = Accounts::new(store.clone(), vault());
    insert_account(&accounts, account, Role::Patient).await;
    // Eight open connections, all of which will be stale.
    let read = async || accounts.by_id(account).await.map(|found| assert!(found.some().is_some()));
    let all = |results: &[Result<(), PortError>]| results.iter().filter(|result| result.is_ok()).count();
    let eight = async || futures::future::join_all((0..8).map(|_| read())).await;
    for _ in 0..20 {
        eight().await;
    }
    assert!(store.pool_status().size > 1);

    server.kill();
    let dead = Instant::now();
    while dead.elapsed() < Duration::from_secs(3) {
        let begun = Instant::now();
        let results = eight().await;
        let took = begun.elapsed();
        let away = |result: &Result<(), PortError>| matches!(result, Err(PortError::Unavailable { .. }));
        // A backend may still answer in the instant before it notices the postmaster's death.
        let grace = dead.elapsed() < Duration::from_secs(1);
        assert!(grace || results.iter().all(away), "{results:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(store.ping(Duration::from_secs(1)).await, Err(PortError::Unavailable { .. })));

    let server = tokio::task::spawn_blocking(move || {
        server.servers(&["start-one", "--dir", DIR, "postgres"]);
        server
    })
    .await
    .unwrap();
    let back = Instant::now();
    while all(&eight().await) < 8 {
        assert!(back.elapsed() < Duration::from_secs(5), "the pool does not recover");
    }

    // Killed and started again while nobody asked: the stale connections are not given to callers.
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server.servers(&["start-one", "--dir", DIR, "postgres"]);
        server
    })
    .await
    .unwrap();
    let results = eight().await;
    assert_eq!(all(&results), 8, "{results:?}");
    drop((accounts, store));
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}
