//! The lock on real redis-servers, also dead, hung and full ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use amrutam_booking::ports::{LockOutcome, SlotLocks};
use amrutam_kernel::SlotId;
use amrutam_redis::{NodeHealth, RedlockSlots, Settings};
use futures::future::join_all;
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::{LONG, RedisNode, connect, eventually, hold, key, locks, new_slot, nodes, said, settings};
use tokio::time::{Instant, timeout};

const FAST: Duration = Duration::from_millis(400);

async fn absent(nodes: &[RedisNode], slot: SlotId) {
    eventually("the key is gone everywhere", || async {
        join_all(nodes.iter().map(|node| node.has(slot))).await.iter().all(|has| !has)
    })
    .await;
}

async fn present(nodes: &[RedisNode], slot: SlotId) {
    eventually("the key is everywhere", || async {
        join_all(nodes.iter().map(|node| node.has(slot))).await.iter().all(|has| *has)
    })
    .await;
}

async fn in_use(locks: &RedlockSlots, expected: &[bool]) {
    eventually("the breakers are as expected", || async { up(&locks.health()) == expected }).await;
}

fn up(health: &[NodeHealth]) -> Vec<bool> {
    health.iter().map(|node| node.up).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_32_tasks_one_at_a_time_is_inside() {
    let nodes = nodes(3).await;
    let (locks, other_process) = (locks(&nodes).await, locks(&nodes).await);
    let slot = new_slot();
    let inside = Arc::new(AtomicBool::new(false));
    let tasks = (0..32).map(|task| {
        let locks = if task % 2 == 0 { locks.clone() } else { other_process.clone() };
        let inside = Arc::clone(&inside);
        tokio::spawn(async move {
            loop {
                if let LockOutcome::Held(guard) = locks.try_lock(slot).await {
                    assert!(!inside.swap(true, Ordering::SeqCst), "two are inside");
                    tokio::task::yield_now().await;
                    inside.store(false, Ordering::SeqCst);
                    guard.release();
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for task in timeout(LONG, join_all(tasks)).await.expect("everybody gets in at some time") {
        task.unwrap();
    }
    absent(&nodes, slot).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_try_at_once_at_most_one_holds_and_not_all_are_refused() {
    let nodes = nodes(3).await;
    let processes = join_all((0..3).map(|_| locks(&nodes))).await;
    let (mut held, mut taken) = (0, 0);
    for _ in 0..60 {
        let slot = new_slot();
        let attempts = (0..9).map(|n| {
            let locks = processes.get(n % 3).unwrap().clone();
            tokio::spawn(async move { locks.try_lock(slot).await })
        });
        let outcomes: Vec<_> = join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        let of = |word| outcomes.iter().filter(|&outcome| support::word(outcome) == word).count();
        assert!(of("held") <= 1, "{} hold it", of("held"));
        assert!(of("taken") < outcomes.len(), "all are refused, and the slot is free");
        held += of("held");
        taken += of("taken");
    }
    assert!(held >= 50, "only {held} of 60 were held");
    assert!(taken >= 60 * 7, "only {taken} of the others were refused");
}

#[tokio::test]
async fn the_key_has_the_slots_name_a_lifetime_and_a_value_of_its_own() {
    let nodes = nodes(1).await;
    let node = nodes.first().unwrap();
    let locks = connect(Settings { ttl_ms: 5_000, ..settings(&nodes) }).await;
    let (one, two) = (new_slot(), new_slot());
    let _guards = (hold(&locks, one).await, hold(&locks, two).await);
    let left: i64 = node.run(&["PTTL", &format!("amrutam:lock:slot:{one}")]).await;
    assert!((1..=5_000).contains(&left), "{left} ms");
    let (a, b): (Vec<u8>, Vec<u8>) = (node.run(&["GET", &key(one)]).await, node.run(&["GET", &key(two)]).await);
    assert!(a.len() >= 16 && a != b);
}

#[tokio::test]
async fn the_loser_is_told_at_once() {
    for count in [1, 3] {
        let nodes = nodes(count).await;
        let locks = locks(&nodes).await;
        let slot = new_slot();
        let _guard = hold(&locks, slot).await;
        let (outcome, took) = said(&locks, slot).await;
        assert_eq!(outcome, "taken", "{count} nodes");
        assert!(took < FAST, "{took:?}");
        assert_eq!(said(&locks, new_slot()).await.0, "held", "another slot is free");
    }
}

#[tokio::test]
async fn released_or_dropped_it_is_free_at_once() {
    let nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    hold(&locks, slot).await.release();
    absent(&nodes, slot).await;
    drop(hold(&locks, slot).await);
    absent(&nodes, slot).await;
    let guard = hold(&locks, slot).await;
    std::thread::spawn(move || drop(guard)).join().expect("no runtime is needed to drop a guard");
    absent(&nodes, slot).await;
    assert_eq!(said(&locks, slot).await.0, "held");
}

#[tokio::test]
async fn a_late_owner_leaves_the_next_ones_lock_alone() {
    let nodes = nodes(3).await;
    let (early, late) = (locks(&nodes).await, locks(&nodes).await);
    let slot = new_slot();
    let expired = hold(&early, slot).await;
    present(&nodes, slot).await;
    for node in &nodes {
        let _: i64 = node.run(&["PEXPIRE", &key(slot), "1"]).await;
    }
    absent(&nodes, slot).await;
    let _guard = hold(&late, slot).await;
    present(&nodes, slot).await;
    expired.release();
    assert!(early.drain(LONG).await);
    present(&nodes, slot).await;
    assert_eq!(said(&early, slot).await.0, "taken");
}

#[tokio::test]
async fn a_lock_ends_with_its_lifetime() {
    let nodes = nodes(1).await;
    let locks = connect(Settings { ttl_ms: 2_000, ..settings(&nodes) }).await;
    let slot = new_slot();
    let _guard = hold(&locks, slot).await;
    assert_eq!(said(&locks, slot).await.0, "taken");
    absent(&nodes, slot).await;
    let _next = hold(&locks, slot).await;
}

#[tokio::test]
async fn one_node_of_three_may_be_dead() {
    let mut nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    nodes.last_mut().unwrap().kill();
    for _ in 0..20 {
        let slot = new_slot();
        let started = Instant::now();
        let guard = hold(&locks, slot).await;
        assert!(started.elapsed() < FAST, "{:?}", started.elapsed());
        assert_eq!(said(&locks, slot).await.0, "taken");
        guard.release();
    }
    in_use(&locks, &[true, true, false]).await;
}

#[tokio::test]
async fn one_node_of_three_may_be_hung() {
    let nodes = nodes(3).await;
    let locks = connect(Settings { deadline_ms: 450, ..settings(&nodes) }).await;
    nodes.first().unwrap().stop();
    let whole = Instant::now();
    for _ in 0..20 {
        let slot = new_slot();
        let guard = hold(&locks, slot).await;
        assert_eq!(said(&locks, slot).await.0, "taken");
        guard.release();
    }
    assert!(whole.elapsed() < Duration::from_secs(1), "20 times took {:?}", whole.elapsed());
    in_use(&locks, &[false, true, true]).await;
}

#[tokio::test]
async fn two_of_three_away_is_no_quorum_even_if_the_third_says_yes() {
    let mut nodes = nodes(3).await;
    let locks = connect(Settings { deadline_ms: 120, ..settings(&nodes) }).await;
    let [one, two, three] = nodes.as_mut_slice() else { panic!("three nodes") };
    one.kill();
    two.stop();
    for _ in 0..10 {
        let slot = new_slot();
        let (outcome, took) = said(&locks, slot).await;
        assert_eq!(outcome, "unavailable");
        assert!(took < FAST, "{took:?}");
        eventually("the third is given back", || async { !three.has(slot).await }).await;
    }
    in_use(&locks, &[false, false, true]).await;
}

#[tokio::test]
async fn all_dead_from_the_start_is_said_at_once_and_mended_without_a_restart() {
    let mut nodes = nodes(3).await;
    nodes.iter_mut().for_each(RedisNode::kill);
    let started = Instant::now();
    let locks = locks(&nodes).await;
    assert!(started.elapsed() < Duration::from_secs(2), "the start took {:?}", started.elapsed());
    let (outcome, took) = said(&locks, new_slot()).await;
    assert_eq!(outcome, "unavailable");
    assert!(took < FAST, "{took:?}");
    assert_eq!(up(&locks.health()), [false; 3]);
    for node in &mut nodes {
        node.restart().await;
    }
    in_use(&locks, &[true; 3]).await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
}

#[tokio::test]
async fn a_node_that_returns_on_its_port_is_used_again() {
    let mut nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    let _guard = hold(&locks, new_slot()).await;
    nodes.first_mut().unwrap().kill();
    for _ in 0..3 {
        assert_eq!(said(&locks, new_slot()).await.0, "unavailable");
    }
    in_use(&locks, &[false]).await;
    nodes.first_mut().unwrap().restart().await;
    in_use(&locks, &[true]).await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
}

#[tokio::test]
async fn a_restart_between_two_locks_is_not_even_noticed() {
    let mut nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    drop(hold(&locks, new_slot()).await);
    nodes.first_mut().unwrap().restart().await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_do_not_queue_for_silent_nodes() {
    let silent: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let urls = silent.iter().map(|listener| format!("redis://{}", listener.local_addr().unwrap())).collect();
    let started = Instant::now();
    let locks = connect(Settings { urls, ..Settings::default() }).await;
    let outcomes = join_all((0..100).map(|_| said(&locks, new_slot()))).await;
    assert!(outcomes.iter().all(|(outcome, _)| *outcome == "unavailable"));
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_do_not_queue_for_nodes_that_fall_silent() {
    let nodes = nodes(3).await;
    let locks = connect(Settings { deadline_ms: 120, ..settings(&nodes) }).await;
    in_use(&locks, &[true; 3]).await;
    nodes.iter().for_each(RedisNode::stop);
    let started = Instant::now();
    let outcomes = join_all((0..100).map(|_| said(&locks, new_slot()))).await;
    assert!(outcomes.iter().all(|(outcome, _)| *outcome == "unavailable"));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    in_use(&locks, &[false; 3]).await;
    nodes.iter().for_each(RedisNode::go_on);
    in_use(&locks, &[true; 3]).await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
}

#[tokio::test]
async fn a_late_yes_joins_the_guard_and_is_released_with_it() {
    let nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    nodes.first().unwrap().stop();
    let guard = hold(&locks, slot).await;
    nodes.first().unwrap().go_on();
    present(&nodes, slot).await;
    guard.release();
    absent(&nodes, slot).await;
}

#[tokio::test]
async fn a_late_yes_after_the_release_is_given_back() {
    let nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    nodes.first().unwrap().stop();
    hold(&locks, slot).await.release();
    nodes.first().unwrap().go_on();
    assert!(locks.drain(LONG).await);
    assert!(!nodes.first().unwrap().has(slot).await);
    absent(&nodes, slot).await;
}

#[tokio::test]
async fn an_attempt_whose_caller_goes_away_leaves_nothing() {
    let nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    // One says yes, two are silent: the caller goes while it waits.
    let [one, two, three] = nodes.as_slice() else { panic!("three nodes") };
    one.stop();
    two.stop();
    tokio::select! {
        outcome = locks.try_lock(slot) => panic!("it ended as {}", support::word(&outcome)),
        () = eventually("the third says yes", || three.has(slot)) => (),
    }
    one.go_on();
    two.go_on();
    assert!(locks.drain(LONG).await);
    absent(&nodes, slot).await;
}

#[tokio::test]
async fn somebody_elses_settled_majority_is_taken_and_our_minority_given_back() {
    let nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    let [one, two, three] = nodes.as_slice() else { panic!("three nodes") };
    let _: () = one.run(&["SET", &key(slot), "a"]).await;
    let _: () = two.run(&["SET", &key(slot), "b"]).await;
    assert_eq!(said(&locks, slot).await.0, "taken");
    assert!(locks.drain(LONG).await);
    assert!(!three.has(slot).await);
    assert!(one.has(slot).await && two.has(slot).await);
}

#[tokio::test]
async fn a_node_that_refuses_writes_is_down_and_not_taken() {
    let nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    let node = nodes.first().unwrap();
    let _: () = node.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..3 {
        assert_eq!(said(&locks, new_slot()).await.0, "unavailable");
    }
    in_use(&locks, &[false]).await;
    let _: () = node.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    in_use(&locks, &[true]).await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
}

#[tokio::test]
async fn a_cut_connection_does_not_keep_a_lock_from_being_released() {
    let nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    let guard = hold(&locks, slot).await;
    let cut: i64 = nodes.first().unwrap().run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    assert!(cut >= 1);
    guard.release();
    absent(&nodes, slot).await;
}

#[tokio::test]
async fn passwords_are_used_and_not_shown() {
    let node = RedisNode::start_with(&["--requirepass", "canary"]).await;
    let good = Settings { urls: vec![node.url()], ..Settings::default() };
    let locks = connect(Settings { deadline_ms: 1_000, ..good.clone() }).await;
    assert_eq!(said(&locks, new_slot()).await.0, "held");
    assert!(!format!("{locks:?} {good:?}").contains("canary"));
    let wrong = Settings { urls: vec![good.urls.first().unwrap().replace("canary", "other")], ..good };
    assert_eq!(said(&connect(wrong).await, new_slot()).await.0, "unavailable");
}

#[tokio::test]
async fn without_nodes_every_lock_is_unavailable() {
    let locks = connect(Settings::default()).await;
    assert_eq!(said(&locks, new_slot()).await.0, "unavailable");
    assert!(locks.health().is_empty() && locks.ping(FAST).await.is_empty());
    let invalid = Settings { urls: vec!["http://x".to_owned()], ..Settings::default() };
    assert!(RedlockSlots::connect(invalid).await.is_err());
}

#[tokio::test]
async fn a_ping_tells_the_state_of_this_moment_and_recovers() {
    let mut nodes = nodes(3).await;
    let locks = locks(&nodes).await;
    assert_eq!(up(&locks.ping(LONG).await), [true; 3]);
    let [one, two, _] = nodes.as_mut_slice() else { panic!("three nodes") };
    one.stop();
    two.kill();
    let started = Instant::now();
    let health = locks.ping(Duration::from_millis(200)).await;
    assert_eq!(health.iter().map(|node| node.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(up(&health), [false, false, true]);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    one.go_on();
    two.restart().await;
    eventually("all answer again", || async { up(&locks.ping(LONG).await) == [true; 3] }).await;
}

#[tokio::test]
async fn drain_waits_for_releases_but_not_for_ever() {
    let nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    let slot = new_slot();
    hold(&locks, slot).await.release();
    assert!(locks.drain(LONG).await);
    assert!(!nodes.first().unwrap().has(slot).await);
    let guard = hold(&locks, slot).await;
    nodes.first().unwrap().stop();
    guard.release();
    assert!(!locks.drain(Duration::from_millis(100)).await);
    assert!(locks.drain(LONG).await, "a release gives up on a hung node");
    nodes.first().unwrap().go_on();
}

#[tokio::test]
async fn what_happens_is_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let shows = |line: &str| page.render().lines().any(|shown| shown == line);

    let nodes = nodes(1).await;
    let locks = locks(&nodes).await;
    assert!(shows(r#"amrutam_lock_node_up{node="0"} 1"#), "{}", page.render());
    let slot = new_slot();
    let guard = hold(&locks, slot).await;
    assert_eq!(said(&locks, slot).await.0, "taken");
    let node = nodes.first().unwrap();
    node.stop();
    guard.release();
    assert!(locks.drain(LONG).await);
    for _ in 0..3 {
        assert_eq!(said(&locks, slot).await.0, "unavailable");
    }
    in_use(&locks, &[false]).await;
    let text = page.render();
    for line in [
        r#"amrutam_lock_attempts_total{outcome="held"} 1"#,
        r#"amrutam_lock_attempts_total{outcome="taken"} 1"#,
        r#"amrutam_lock_attempts_total{outcome="unavailable"} 3"#,
        "amrutam_lock_seconds_count 5",
        "amrutam_lock_release_failures_total 1",
        r#"amrutam_lock_node_up{node="0"} 0"#,
    ] {
        assert!(shows(line), "{line} is missing in\n{text}");
    }
    node.go_on();
}

#[tokio::test]
async fn the_watchers_end_with_the_last_clone() {
    let nodes = nodes(1).await;
    let node = nodes.first().unwrap();
    let locks = locks(&nodes).await;
    let clone = locks.clone();
    drop(locks);
    assert_eq!(said(&clone, new_slot()).await.0, "held");
    drop(clone);
    eventually("only our own connection is left", || async {
        let list: String = node.run(&["CLIENT", "LIST", "TYPE", "normal"]).await;
        list.lines().count() == 1
    })
    .await;
}
