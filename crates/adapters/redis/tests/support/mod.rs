//! Private redis-servers on free ports, ended by their process ids.
#![allow(dead_code, unreachable_pub, reason = "shared by the tests and the example; each needs a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a failure here fails the test"
)]

use amrutam_booking::ports::{LockOutcome, SlotLock, SlotLocks};
use amrutam_kernel::SlotId;
use amrutam_redis::{RedlockSlots, Settings};
use std::{
    future::Future,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

pub const LONG: Duration = Duration::from_secs(20);

pub struct RedisNode {
    pub port: u16,
    dir: PathBuf,
    options: Vec<String>,
    child: Child,
}

impl RedisNode {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let deadline = Instant::now() + LONG;
        loop {
            let port = free_port();
            let dir = std::env::temp_dir().join(format!("amrutam-redis-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let child = spawn(port, &dir, &options);
            let mut node = Self { port, dir, options: options.clone(), child };
            if node.answers(deadline).await {
                return node;
            }
            assert!(Instant::now() < deadline, "redis-server did not come up");
        }
    }

    /// False when the process has ended, as it does when somebody else has taken the port.
    async fn answers(&mut self, deadline: Instant) -> bool {
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Some(mut connection) = self.connection().await {
                let server: redis::RedisResult<String> =
                    redis::cmd("INFO").arg("server").query_async(&mut connection).await;
                if server.is_ok_and(|info| info.contains(&format!("process_id:{}\r", self.child.id()))) {
                    return true;
                }
            }
            assert!(Instant::now() < deadline, "redis-server does not answer");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn connection(&self) -> Option<redis::aio::MultiplexedConnection> {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.ok()
    }

    pub fn url(&self) -> String {
        let word = self.options.iter().skip_while(|option| *option != "--requirepass").nth(1);
        let user = word.map(|word| format!(":{word}@")).unwrap_or_default();
        format!("redis://{user}127.0.0.1:{}", self.port)
    }

    pub async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.connection().await.expect("the node answers");
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut connection).await.unwrap()
    }

    pub async fn has(&self, slot: SlotId) -> bool {
        self.run(&["EXISTS", &key(slot)]).await
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub async fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + LONG;
        loop {
            self.child = spawn(self.port, &self.dir, &self.options);
            if self.answers(deadline).await {
                return;
            }
            assert!(Instant::now() < deadline, "redis-server did not come back");
        }
    }

    pub fn stop(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for RedisNode {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn spawn(port: u16, dir: &PathBuf, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--daemonize", "no", "--dir"])
        .arg(dir)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server must be on the PATH: install it, for example with `apt-get install redis-server`")
}

/// Below the ports that the system hands out to clients.
fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub async fn nodes(count: usize) -> Vec<RedisNode> {
    futures::future::join_all((0..count).map(|_| RedisNode::start())).await
}

pub fn settings(nodes: &[RedisNode]) -> Settings {
    // A deadline that a busy machine keeps, and keys that don't end by themselves while a test looks.
    Settings {
        urls: nodes.iter().map(RedisNode::url).collect(),
        deadline_ms: 1_000,
        ttl_ms: 60_000,
        ..Settings::default()
    }
}

pub async fn locks(nodes: &[RedisNode]) -> RedlockSlots {
    connect(settings(nodes)).await
}

pub async fn connect(settings: Settings) -> RedlockSlots {
    RedlockSlots::connect(settings).await.unwrap()
}

pub fn new_slot() -> SlotId {
    SlotId::from_uuid(uuid::Uuid::from_u128(rand::random()))
}

pub fn key(slot: SlotId) -> String {
    format!("amrutam:lock:slot:{slot}")
}

pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + LONG;
    while !holds().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub fn word(outcome: &LockOutcome) -> &'static str {
    match outcome {
        LockOutcome::Held(_) => "held",
        LockOutcome::Taken => "taken",
        LockOutcome::Unavailable => "unavailable",
    }
}

pub async fn hold(locks: &RedlockSlots, slot: SlotId) -> Box<dyn SlotLock> {
    match locks.try_lock(slot).await {
        LockOutcome::Held(guard) => guard,
        other => panic!("expected to hold the lock, but it is {}", word(&other)),
    }
}

pub async fn said(locks: &RedlockSlots, slot: SlotId) -> (&'static str, Duration) {
    let started = Instant::now();
    let outcome = locks.try_lock(slot).await;
    (word(&outcome), started.elapsed())
}
