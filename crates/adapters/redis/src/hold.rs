//! Locks in hand, and giving them back in the background.

use crate::node::Line;
use amrutam_booking::ports::SlotLock;
use futures::future::join_all;
use metrics::counter;
use rslock::{Lock, LockError};
use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

/// Twice the half second after which the driver gives up on an answer.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// Where work goes that nobody waits for.
#[derive(Clone)]
pub(crate) struct Background {
    tracker: TaskTracker,
    // A guard may be dropped on a thread that has no runtime.
    runtime: Handle,
}

impl Background {
    pub(crate) fn here() -> Self {
        Self { tracker: TaskTracker::new(), runtime: Handle::current() }
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.tracker.spawn_on(work, &self.runtime));
    }

    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.tracker.close();
        timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// One node's lock, and the way to that node.
pub(crate) struct Held {
    pub(crate) lock: Lock,
    pub(crate) line: Arc<Line>,
}

/// The nodes' locks of one attempt. Nodes add to it also after the decision, until it is closed.
pub(crate) struct Hold(Mutex<Contents>);

enum Contents {
    Open(Vec<Held>),
    Closed,
}

impl Hold {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lock in, or gives it back when it comes too late.
    pub(crate) fn keep(&self, lock: Held) -> Result<(), Held> {
        match &mut *self.contents() {
            Contents::Open(locks) => {
                locks.push(lock);
                Ok(())
            }
            Contents::Closed => Err(lock),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.contents(), Contents::Closed)
    }

    fn close(&self) -> Vec<Held> {
        match mem::replace(&mut *self.contents(), Contents::Closed) {
            Contents::Open(locks) => locks,
            Contents::Closed => Vec::new(),
        }
    }
}

/// Gives everything back when dropped: also when the attempt fails, or its caller goes away in the middle of it.
pub(crate) struct Guard {
    hold: Arc<Hold>,
    background: Background,
}

impl Guard {
    pub(crate) fn new(background: Background) -> Self {
        Self { hold: Arc::new(Hold(Mutex::new(Contents::Open(Vec::new())))), background }
    }

    pub(crate) fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let locks = self.hold.close();
        if !locks.is_empty() {
            self.background.spawn(async move { drop(join_all(locks.into_iter().map(release)).await) });
        }
    }
}

impl SlotLock for Guard {
    fn release(self: Box<Self>) {
        drop(self);
    }
}

/// Deletes the key if the value is still ours: one script, whose answer says that the key is not ours any more.
pub(crate) async fn release(Held { lock, line }: Held) {
    let freed = async {
        if line.delete(&lock).await {
            return true;
        }
        // The connection was cut, or the line is not used any more. `rslock` renews its own, and does not say whether it worked;
        // twice, because the first try may only find out.
        for _ in 0..2 {
            lock.lock_manager.unlock(&lock).await;
            if let Err(LockError::RedisKeyNotFound | LockError::RedisKeyMismatch) =
                lock.lock_manager.is_freed(&lock).await
            {
                return true;
            }
        }
        false
    };
    if !timeout(RELEASE_LIMIT, freed).await.unwrap_or(false) {
        counter!("amrutam_lock_release_failures_total").increment(1);
        tracing::debug!("a slot's lock could not be released on one node; it ends with its lifetime");
    }
}
