//! Slot locks in memory.

use amrutam_booking::ports::{LockOutcome, SlotLock, SlotLocks};
use amrutam_kernel::SlotId;
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What the locks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMode {
    /// Lock.
    #[default]
    Working,
    /// Say that somebody else has every lock.
    AlwaysTaken,
    /// Say that there is no quorum.
    Unavailable,
}

/// Locks that never expire by themselves. Released at once, not in the background.
#[derive(Debug, Default)]
pub struct MemorySlotLocks(Arc<Mutex<Locks>>);

#[derive(Debug, Default)]
struct Locks {
    mode: LockMode,
    held: HashMap<SlotId, u64>,
    tokens: u64,
}

fn locked(locks: &Mutex<Locks>) -> MutexGuard<'_, Locks> {
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemorySlotLocks {
    /// Working locks.
    pub fn new() -> Self {
        Self::default()
    }

    /// What they do from now on. Locks that are held stay held.
    pub fn set_mode(&self, mode: LockMode) {
        locked(&self.0).mode = mode;
    }

    /// As when every lock's lifetime ends: the slots can be locked anew, and the old holders' releases do nothing.
    pub fn expire_all(&self) {
        locked(&self.0).held.clear();
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        locked(&self.0).held.len()
    }
}

#[async_trait]
impl SlotLocks for MemorySlotLocks {
    async fn try_lock(&self, slot: SlotId) -> LockOutcome {
        let mut locks = locked(&self.0);
        match locks.mode {
            LockMode::AlwaysTaken => LockOutcome::Taken,
            LockMode::Unavailable => LockOutcome::Unavailable,
            LockMode::Working if locks.held.contains_key(&slot) => LockOutcome::Taken,
            LockMode::Working => {
                locks.tokens += 1;
                let token = locks.tokens;
                locks.held.insert(slot, token);
                LockOutcome::Held(Box::new(Held { locks: Arc::clone(&self.0), slot, token }))
            }
        }
    }
}

struct Held {
    locks: Arc<Mutex<Locks>>,
    slot: SlotId,
    token: u64,
}

impl SlotLock for Held {
    fn release(self: Box<Self>) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut locks = locked(&self.locks);
        if locks.held.get(&self.slot) == Some(&self.token) {
            locks.held.remove(&self.slot);
        }
    }
}
