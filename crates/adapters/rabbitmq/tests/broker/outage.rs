//! A broker that is not there, or does not speak.

use crate::harness::{Jitter, Scripted, event, on_stand_at};
use amrutam_kernel::{Dependency, EventPublisher, Handled, HandlerError, PortError};
use amrutam_rabbitmq::{Publisher, Settings};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

fn assert_unavailable(outcome: &Result<(), PortError>) {
    assert!(matches!(outcome, Err(PortError::Unavailable { dependency: Dependency::Broker, .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_a_publish_fails_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let publisher = Publisher::start(
        &Settings::new(format!("amqp://{address}/").parse().unwrap()),
        vec![],
        Arc::new(Jitter::Random),
    );
    let began = Instant::now();
    for _ in 0..100 {
        assert_unavailable(&publisher.publish(&event()).await);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!publisher.health());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_costs_nothing_but_its_own_attempts() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let accepted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let held = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((socket, _)) = silent.accept().await {
            held.lock().unwrap().push(socket);
        }
    });
    let mut settings = Settings::new(format!("amqp://{address}/").parse().unwrap());
    settings.connect_timeout_ms = 100;
    let publisher = Publisher::start(&settings, vec![], Arc::new(Jitter::Random));
    sleep(Duration::from_secs(5)).await;
    let attempts = accepted.lock().unwrap().len();
    // 100 ms to give up, then pauses from 50-100 ms up to 1-2 s.
    assert!((3..=14).contains(&attempts), "{attempts} attempts in 5 s");
    assert_unavailable(&publisher.publish(&event()).await);
    // Given-up attempts must not pile up sockets.
    drop(publisher);
    sleep(Duration::from_secs(1)).await;
    let open = accepted.lock().unwrap().iter().filter(|socket| !is_closed(socket)).count();
    assert!(open <= 1, "{open} of {attempts} connections are still open");
}

fn is_closed(socket: &tokio::net::TcpStream) -> bool {
    loop {
        match socket.try_read(&mut [0; 64]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

const DIR: &str = ".dev/faults-mq";

/// A broker of this test's own, to kill and to freeze; stopped with this value.
struct OwnBroker {
    // Two runs at once would kill each other's.
    _lock: File,
}

impl OwnBroker {
    fn up() -> Self {
        let dir = root().join(DIR);
        std::fs::create_dir_all(&dir).unwrap();
        let lock = File::create(dir.join("test.lock")).unwrap();
        lock.lock().unwrap();
        servers(&["up", "--dir", DIR, "rabbitmq"]);
        Self { _lock: lock }
    }

    fn url() -> String {
        let environment = servers(&["env", "--dir", DIR]);
        let value = environment.lines().find_map(|line| line.strip_prefix("AMQP_URL=")).unwrap();
        value.trim_matches('\'').to_owned()
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        servers(&["down", "--dir", DIR, "rabbitmq"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_or_freezes_costs_no_event() {
    let broker = tokio::task::spawn_blocking(OwnBroker::up).await.unwrap();
    on_stand_at(&OwnBroker::url(), Jitter::Random, |_| {}, async |stand| {
        let handler = Scripted::new(async |event, n| {
            sleep(Duration::from_millis(5)).await;
            // One in eight needs a second attempt.
            let first_fails = event.id.as_uuid().as_bytes()[15] < 32;
            if n == 0 && first_fails { Err(HandlerError::Retry("once".into())) } else { Ok(Handled::Applied) }
        });
        let consumers = stand.consume(&handler);
        for (fault, outage) in [("kill", 6), ("freeze", 16), ("kill", 1)] {
            let done = Arc::new(AtomicBool::new(false));
            let outcomes = Arc::new(Mutex::new(Vec::new()));
            let (publisher, stop, log) = (stand.publisher.clone(), Arc::clone(&done), Arc::clone(&outcomes));
            let publishing = tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let (event, began) = (event(), Instant::now());
                    let outcome = publisher.publish(&event).await.map_err(|error| error.reason().to_owned());
                    log.lock().unwrap().push((event.id, began, began.elapsed(), outcome));
                    sleep(Duration::from_millis(20)).await;
                }
            });
            sleep(Duration::from_secs(2)).await;
            let broken = Instant::now();
            let pid = servers(&["pid", "--dir", DIR, "rabbitmq"]);
            signal(&pid, if fault == "kill" { "-KILL" } else { "-STOP" });
            sleep(Duration::from_secs(outage)).await;
            let unhealthy = (stand.publisher.health(), consumers.health());
            if fault == "kill" {
                let start = || servers(&["start-one", "--dir", DIR, "rabbitmq"]);
                tokio::task::spawn_blocking(start).await.unwrap();
            } else {
                signal(&pid, "-CONT");
            }
            let back = Instant::now();
            while !(stand.publisher.health() && consumers.health()) {
                assert!(back.elapsed() < Duration::from_secs(20), "never healthy again");
                sleep(Duration::from_millis(20)).await;
            }
            let healthy = back.elapsed();
            sleep(Duration::from_secs(2)).await;
            done.store(true, Ordering::Relaxed);
            publishing.await.unwrap();

            let outcomes = std::mem::take(&mut *outcomes.lock().unwrap());
            let published: Vec<_> = outcomes.iter().filter(|(.., outcome)| outcome.is_ok()).collect();
            let failures = outcomes.len() - published.len();
            let slowest = outcomes.iter().map(|(_, _, took, _)| *took).max().unwrap();
            let first_after = published.iter().map(|(_, at, ..)| *at).find(|at| *at > broken + Duration::from_secs(1));
            let reasons: std::collections::BTreeSet<_> =
                outcomes.iter().filter_map(|(.., outcome)| outcome.as_ref().err()).collect();
            let until = Instant::now() + Duration::from_secs(30);
            let lost = loop {
                let lost = published.iter().filter(|(id, ..)| handler.times(*id).is_empty()).count();
                if lost == 0 || Instant::now() > until {
                    break lost;
                }
                sleep(Duration::from_millis(200)).await;
            };
            eprintln!(
                "{fault} for {outage} s: published {}, failed {failures}, slowest publish {slowest:?}, health during {unhealthy:?}, \
                 healthy {healthy:?} after its return, first publish {:?} after the fault, lost {lost}, counted as redelivered {}, {reasons:?}",
                published.len(),
                first_after.map(|at| at - broken),
                stand.ledger.counts.lock().unwrap().len(),
            );
            assert_eq!(lost, 0);
            assert!(slowest < Duration::from_secs(10), "{slowest:?}");
            assert!(healthy < Duration::from_secs(30), "{healthy:?}");
            if fault == "kill" {
                assert_eq!(unhealthy, (false, false));
            }
        }
        stand.stop.cancel();
        consumers.stopped().await;
    })
    .await;
    tokio::task::spawn_blocking(move || drop(broker)).await.unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

fn servers(arguments: &[&str]) -> String {
    let mut command = Command::new(root().join("infra/dev/servers"));
    for variable in ["DATABASE_URL", "ADMIN_DATABASE_URL", "READER_DATABASE_URL", "REDIS_URLS", "AMQP_URL"] {
        command.env_remove(variable);
    }
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn signal(pid: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}
