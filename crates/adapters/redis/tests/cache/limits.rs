//! What only Redis can do, and what is done without it.

use crate::{
    PREFIX, cache, cache_within,
    contract::{limit, passed},
    support::{LONG, RedisNode, eventually},
};
use amrutam_kernel::RateLimiter;
use amrutam_redis::{Cache, Limits, Settings};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_millis(100);

async fn process(node: &RedisNode) -> Arc<dyn RateLimiter> {
    Arc::new(Limits::new(Some(cache(node).await)))
}

async fn counted(node: &RedisNode, id: u32) -> usize {
    node.run(&["LLEN", &format!("{PREFIX}limit:test:number:{id}")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_count() {
    let node = RedisNode::start().await;
    let both = [process(&node).await, process(&node).await];
    assert_eq!(passed(&both, &limit(1, 100, MINUTE), 200).await, 100);
    assert!(!process(&node).await.check(&[limit(1, 100, MINUTE)]).await.allowed, "and a third one knows");
}

#[tokio::test]
async fn what_is_stored_is_small_nameless_and_ends_by_itself() {
    let node = RedisNode::start().await;
    let window = Duration::from_millis(800);
    let limits = process(&node).await;
    for _ in 0..50 {
        limits.check(&[limit(1, 10, window), limit(2, 20, window)]).await;
    }
    assert_eq!((counted(&node, 1).await, counted(&node, 2).await), (10, 10));
    let mut keys: Vec<String> = node.run(&["KEYS", "*"]).await;
    keys.sort();
    assert_eq!(keys, ["test:limit:test:number:1", "test:limit:test:number:2"]);
    for key in &keys {
        let lives: i64 = node.run(&["PTTL", key]).await;
        assert!((1..=801).contains(&lives), "{key} lives for {lives} ms");
    }
    let time: String = node.run(&["LINDEX", &keys[0], "0"]).await;
    assert!(time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_digit()), "{time} is not in microseconds");
    eventually("nothing is left", || async { node.run::<Vec<String>>(&["KEYS", "*"]).await.is_empty() }).await;
}

#[tokio::test]
async fn a_long_log_goes_at_once_when_its_window_has_passed() {
    let node = RedisNode::start().await;
    let long = limit(1, 1_000, Duration::from_millis(700));
    let fill = process(&node).await;
    for _ in 0..350 {
        fill.check(std::slice::from_ref(&long)).await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(fill.check(std::slice::from_ref(&long)).await.allowed);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let decision = process(&node).await.check(&[long]).await;
    assert_eq!((decision.states[0].remaining, counted(&node, 1).await), (998, 2));
}

#[tokio::test]
async fn a_check_is_one_round_trip() {
    let node = RedisNode::start().await;
    let limits = process(&node).await;
    limits.check(&[limit(1, 100, MINUTE), limit(2, 100, MINUTE)]).await;
    let _: () = node.run(&["CONFIG", "RESETSTAT"]).await;
    for _ in 0..10 {
        limits.check(&[limit(1, 100, MINUTE), limit(2, 100, MINUTE)]).await;
    }
    let stats: String = node.run(&["INFO", "commandstats"]).await;
    assert!(stats.contains("cmdstat_evalsha:calls=10,"), "{stats}");
    for other in ["cmdstat_ping:", "cmdstat_eval:", "cmdstat_script"] {
        assert!(!stats.contains(other), "{stats}");
    }
}

#[tokio::test]
async fn without_redis_the_process_goes_on_from_what_it_has_let_through() {
    let mut node = RedisNode::start().await;
    let cache = cache_within(&node, DEADLINE).await;
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(Some(cache.clone())));
    let hundred = limit(1, 100, MINUTE);
    assert_eq!(passed(&[Arc::clone(&limits)], &hundred, 60).await, 60);
    node.kill();
    assert_eq!(passed(&[Arc::clone(&limits)], &hundred, 200).await, 40);
    assert_eq!(passed(&[Arc::clone(&limits)], &limit(2, 100, MINUTE), 200).await, 100, "nobody finds it open");
    assert!(!cache.is_up());

    node.restart().await;
    eventually("it is used again", || async { cache.is_up() }).await;
    assert!(limits.check(&[limit(3, 100, MINUTE)]).await.allowed);
    assert_eq!(counted(&node, 3).await, 1);
    assert!(!limits.check(&[hundred]).await.allowed, "what it has let through stays counted, though Redis has lost it");
}

#[tokio::test]
async fn a_hung_redis_costs_one_deadline_and_then_nothing() {
    let node = RedisNode::start().await;
    let cache = cache_within(&node, DEADLINE).await;
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(Some(cache.clone())));
    assert!(limits.check(&[limit(1, 100, MINUTE)]).await.allowed);
    node.stop();
    let began = Instant::now();
    assert_eq!(passed(&[Arc::clone(&limits)], &limit(2, 100, MINUTE), 200).await, 100);
    let first = began.elapsed();
    assert!(first >= DEADLINE && first < DEADLINE * 4, "{first:?}: all waited at the same time");
    let began = Instant::now();
    for _ in 0..100 {
        limits.check(&[limit(3, 1_000, MINUTE)]).await;
    }
    assert!(began.elapsed() < DEADLINE, "{:?} for a hundred while it is left alone", began.elapsed());
    // As long as it hangs, no caller finds out for the others.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        limits.check(&[limit(4, 100_000, MINUTE)]).await;
        assert!(asked.elapsed() < DEADLINE, "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.go_on();
    eventually("it is used again", || async { cache.is_up() }).await;
    assert!(limits.check(&[limit(5, 100, MINUTE)]).await.allowed);
    assert_eq!(counted(&node, 5).await, 1);
}

/// As the threads of a web server do, which have a runtime each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_thread_takes_its_own_slowness_for_nobody_else_s() {
    let node = RedisNode::start().await;
    let deadline = Duration::from_millis(500);
    let cache = cache_within(&node, deadline).await;
    let limits = Arc::new(Limits::new(Some(cache.clone())));
    let busy = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let asked = (0..100).map(|_| {
                let limits = Arc::clone(&limits);
                tokio::spawn(async move { limits.check(&[limit(1, 200, MINUTE)]).await.allowed })
            });
            let asked: Vec<_> = asked.collect();
            tokio::task::yield_now().await;
            std::thread::sleep(deadline * 3);
            futures::future::join_all(asked).await.into_iter().all(Result::unwrap)
        })
    });
    let allowed = tokio::task::spawn_blocking(|| busy.join().unwrap()).await.unwrap();
    assert_eq!((allowed, counted(&node, 1).await, cache.is_up()), (true, 100, true));
}

#[tokio::test]
async fn a_restart_that_nobody_has_noticed_costs_nothing() {
    let mut node = RedisNode::start().await;
    let cache = cache(&node).await;
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(Some(cache.clone())));
    assert_eq!(passed(&[Arc::clone(&limits)], &limit(1, 100, MINUTE), 50).await, 50, "several connections are open");
    node.restart().await;
    assert!(limits.check(&[limit(2, 100, MINUTE)]).await.allowed);
    assert_eq!(counted(&node, 2).await, 1);
    assert!(cache.is_up());
}

#[tokio::test]
async fn a_flush_gives_nobody_a_second_helping() {
    let node = RedisNode::start().await;
    let limits = process(&node).await;
    assert_eq!(passed(&[Arc::clone(&limits)], &limit(1, 100, MINUTE), 200).await, 100);
    for flush in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"][..]] {
        let _: () = node.run(flush).await;
        assert_eq!(passed(&[Arc::clone(&limits)], &limit(1, 100, MINUTE), 200).await, 0);
        assert!(limits.check(&[limit(2, 100, MINUTE)]).await.allowed);
    }
    assert_eq!(counted(&node, 2).await, 2, "and it counts on");
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_done_without() {
    let node = RedisNode::start().await;
    let cache = cache(&node).await;
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(Some(cache.clone())));
    let _: () = node.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(passed(&[Arc::clone(&limits)], &limit(1, 100, MINUTE), 200).await, 100);
    assert!(cache.is_up(), "it answers, so it is asked again");
    let _: () = node.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(limits.check(&[limit(2, 100, MINUTE)]).await.allowed);
    assert_eq!((counted(&node, 1).await, counted(&node, 2).await), (0, 1));
}

#[tokio::test]
async fn a_replica_is_left_for_the_primary_behind_the_same_name() {
    let node = RedisNode::start().await;
    let cache = cache(&node).await;
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(Some(cache.clone())));
    assert!(limits.check(&[limit(1, 100, MINUTE)]).await.allowed);
    let connected = async || node.run::<String>(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    let before = connected().await;
    let _: () = node.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(limits.check(&[limit(1, 100, MINUTE)]).await.allowed, "the process decides");
    let _: () = node.run(&["REPLICAOF", "NO", "ONE"]).await;
    eventually("it is used again", || async { cache.is_up() }).await;
    assert!(limits.check(&[limit(2, 100, MINUTE)]).await.allowed);
    assert_eq!(counted(&node, 2).await, 1);
    let id = |list: &str| list.lines().next().unwrap().split(' ').next().unwrap().to_owned();
    assert!(!connected().await.contains(&format!("{} ", id(&before))), "the connection to the replica is not kept");
}

#[tokio::test]
async fn one_that_is_away_at_the_start_is_found_later() {
    let mut node = RedisNode::start().await;
    node.kill();
    let began = Instant::now();
    let cache = cache_within(&node, DEADLINE).await;
    assert!(!cache.is_up() && began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let limits = Limits::new(Some(cache.clone()));
    assert!(limits.check(&[limit(1, 1, MINUTE)]).await.allowed);
    assert!(!limits.check(&[limit(1, 1, MINUTE)]).await.allowed);
    node.restart().await;
    eventually("it is used", || async { cache.is_up() }).await;
}

#[tokio::test]
async fn without_any_each_process_counts_for_itself() {
    assert!(Cache::connect(&Settings::default()).await.unwrap().is_none());
    let limits: Arc<dyn RateLimiter> = Arc::new(Limits::new(None));
    assert_eq!(passed(&[limits], &limit(1, 100, MINUTE), 200).await, 100);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_cut_the_others() {
    let node = RedisNode::start().await;
    let cache = cache(&node).await;
    let limits = Arc::new(Limits::new(Some(cache.clone())));
    for _ in 0..200 {
        let asking = Arc::clone(&limits);
        let task = tokio::spawn(async move { asking.check(&[limit(1, 1_000, MINUTE)]).await });
        tokio::task::yield_now().await;
        task.abort();
    }
    assert!(limits.check(&[limit(2, 100, MINUTE)]).await.allowed);
    assert!(cache.is_up());
    let accepted: String = node.run(&["INFO", "stats"]).await;
    let count = accepted.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    assert!(count.trim().parse::<u32>().unwrap() < 40, "{count} connections");
}

#[tokio::test]
async fn decisions_are_counted_by_who_has_made_them() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let shows = |line: &str| assert!(page.render().lines().any(|shown| shown == line), "{line}\n{}", page.render());
    let mut node = RedisNode::start().await;
    let cache = cache_within(&node, DEADLINE).await;
    let limits = Limits::new(Some(cache));
    shows("amrutam_cache_up 1");
    for _ in 0..2 {
        limits.check(&[limit(1, 1, MINUTE)]).await;
    }
    node.kill();
    limits.check(&[limit(2, 1, MINUTE)]).await;
    shows(r#"amrutam_limit_checks_total{outcome="allowed",by="redis"} 1"#);
    shows(r#"amrutam_limit_checks_total{outcome="refused",by="process"} 1"#);
    shows(r#"amrutam_limit_checks_total{outcome="allowed",by="process"} 1"#);
    shows("amrutam_cache_up 0");
}

#[tokio::test]
async fn the_watcher_ends_with_the_last_clone() {
    let node = RedisNode::start().await;
    let cache = cache(&node).await;
    let clone = cache.clone();
    drop(cache);
    assert!(Limits::new(Some(clone)).check(&[limit(1, 1, MINUTE)]).await.allowed);
    let began = Instant::now();
    eventually("only our own connection is left", || async {
        node.run::<String>(&["CLIENT", "LIST", "TYPE", "normal"]).await.lines().count() == 1
    })
    .await;
    assert!(began.elapsed() < LONG);
}
