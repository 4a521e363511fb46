//! How long it takes to lock a slot, and to give it back, on redis-servers started for the purpose.
//!
//! `cargo run --release -p amrutam-redis --example lock_latency`
#![allow(clippy::unwrap_used, reason = "a measurement")]

#[path = "../tests/support/mod.rs"]
mod support;

use amrutam_booking::ports::{LockOutcome, SlotLocks};
use amrutam_redis::{RedlockSlots, Settings};
use std::time::Duration;
use support::{connect, new_slot, nodes, settings};
use tokio::time::Instant;

const CYCLES: usize = 6_400;
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    println!("`lock`: until it is held. `freed`: from there until every node has it back, as the background does it.");
    println!("nodes tasks   held   lock p50   lock p99  freed p50  freed p99    cycles/s");
    for count in [1, 3] {
        let nodes = nodes(count).await;
        let locks = connect(Settings { ttl_ms: 5_000, deadline_ms: 120, ..settings(&nodes) }).await;
        for tasks in [1, 32] {
            drop(cycles(&locks, 500, false).await);
            let started = Instant::now();
            let work: Vec<_> = (0..tasks)
                .map(|_| {
                    let locks = locks.clone();
                    tokio::spawn(async move { cycles(&locks, CYCLES / tasks, tasks == 1).await })
                })
                .collect();
            let (mut lock, mut freed) = (Vec::new(), Vec::new());
            for task in work {
                for (locked, released) in task.await.unwrap() {
                    lock.push(locked);
                    freed.extend(released);
                }
            }
            assert!(locks.drain(LIMIT).await, "the background has not ended");
            let rate = lock.len() as f64 / started.elapsed().as_secs_f64();
            let held = lock.len();
            let [lock_50, lock_99, freed_50, freed_99] =
                [at(&mut lock, 50), at(&mut lock, 99), at(&mut freed, 50), at(&mut freed, 99)];
            println!(
                "{count:>5} {tasks:>5} {held:>6} {lock_50:>10} {lock_99:>10} {freed_50:>10} {freed_99:>10} {rate:>11.0}"
            );
        }
    }
}

/// Each on a slot of its own. Whoever is alone can tell when the background has ended.
async fn cycles(locks: &RedlockSlots, count: usize, alone: bool) -> Vec<(Duration, Option<Duration>)> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let slot = new_slot();
        let started = Instant::now();
        let LockOutcome::Held(guard) = locks.try_lock(slot).await else {
            continue;
        };
        let locked = started.elapsed();
        let started = Instant::now();
        guard.release();
        let freed = alone && locks.drain(LIMIT).await;
        times.push((locked, freed.then(|| started.elapsed())));
    }
    times
}

fn at(times: &mut [Duration], percent: usize) -> String {
    times.sort_unstable();
    times.get(times.len() * percent / 100).map_or_else(|| "-".to_owned(), |time| format!("{} us", time.as_micros()))
}
