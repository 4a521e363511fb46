//! The filter in front of the database.

use crate::ports::{LockOutcome, SlotLock, SlotLocks};
use amrutam_kernel::SlotId;
use futures::future::join_all;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

/// Releasing works in the background: this long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn slot() -> SlotId {
    let [high, low] = [RandomState::new().hash_one(0), RandomState::new().hash_one(0)];
    SlotId::from_uuid(uuid::Uuid::from_u64_pair(high, low))
}

async fn lock(locks: &dyn SlotLocks, slot: SlotId) -> Box<dyn SlotLock> {
    match locks.try_lock(slot).await {
        LockOutcome::Held(lock) => lock,
        LockOutcome::Taken => panic!("the lock is taken"),
        LockOutcome::Unavailable => panic!("the locks are unavailable"),
    }
}

async fn lock_soon(locks: &dyn SlotLocks, slot: SlotId) -> Box<dyn SlotLock> {
    let began = Instant::now();
    loop {
        match locks.try_lock(slot).await {
            LockOutcome::Held(lock) => return lock,
            LockOutcome::Taken | LockOutcome::Unavailable => assert!(began.elapsed() < PATIENCE, "never given back"),
        }
    }
}

/// Tried once: no waiting for the holder. Another slot has a lock of its own.
pub async fn a_locked_slot_is_taken(locks: &Arc<dyn SlotLocks>) {
    let (one, other) = (slot(), slot());
    let held = lock(locks.as_ref(), one).await;
    for _ in 0..3 {
        assert!(matches!(locks.try_lock(one).await, LockOutcome::Taken));
    }
    let second = lock(locks.as_ref(), other).await;
    held.release();
    second.release();
}

/// Releasing gives it back.
pub async fn a_released_lock_can_be_had_again(locks: &Arc<dyn SlotLocks>) {
    let slot = slot();
    lock(locks.as_ref(), slot).await.release();
    let again = lock_soon(locks.as_ref(), slot).await;
    assert!(matches!(locks.try_lock(slot).await, LockOutcome::Taken));
    again.release();
}

/// A future that is dropped drops its lock.
pub async fn a_dropped_lock_can_be_had_again(locks: &Arc<dyn SlotLocks>) {
    let slot = slot();
    drop(lock(locks.as_ref(), slot).await);
    lock_soon(locks.as_ref(), slot).await.release();
}

/// The herd: of many who try at once at most one holds it.
///
/// With several lock servers it may be that nobody gets a majority, so nobody is an outcome too.
pub async fn of_many_one_has_the_lock(locks: &Arc<dyn SlotLocks>) {
    let slot = slot();
    let outcomes = join_all((0..24).map(|_| locks.try_lock(slot))).await;
    let held = outcomes.iter().filter(|outcome| matches!(outcome, LockOutcome::Held(_))).count();
    assert!(held <= 1, "{held} hold the one lock");
    drop(outcomes);
    lock_soon(locks.as_ref(), slot).await.release();
}
