//! The database of the fake: one locked copy of state.
//!
//! A transaction works on a draft of the tables under the lock, so transactions run one after another; a draft that is
//! dropped was never there. The logs (outbox, audit) only grow, so they stay out of the draft and are appended at the end.

mod inspect;
mod invariants;
mod shared;
mod tables;
mod transaction;

pub(crate) use tables::{MessageState, RefreshRow, StoredMessage, StoredTask, Tables, TaskState};
pub(crate) use transaction::{defect, into_port_error};

use amrutam_kernel::{AuditEntry, Clock, Dependency, EventEnvelope, Personal, PortError, Unrecorded};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How a commit is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is committed: something read has changed.
    Stale,
    /// Nothing is committed: another transaction is at work.
    Busy,
    /// Nothing is committed: the database is away.
    Unavailable,
    /// Nothing is committed: there is a row that can't be read or written.
    Defect,
    /// All is committed, but the caller is told that the database is away.
    LostAnswer,
    /// All is committed, and the database is away from then on.
    ThenAway,
}

/// Every store of every domain, in memory. See the crate's documentation.
pub struct MemoryWorld {
    pub(crate) clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tables: Tables,
    outbox: Vec<EventEnvelope>,
    audit: Vec<AuditEntry>,
    faults: VecDeque<Fault>,
    away: bool,
}

impl MemoryWorld {
    /// An empty world. The clock tells when an idempotent answer is 24 hours old, and which messages are due.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A world of its own that begins with what is in this one, under another clock. What is announced and audited here, and
    /// what is told to fail, stays here.
    pub fn fork(&self, clock: Arc<dyn Clock>) -> Self {
        let tables = self.lock().tables.clone();
        Self { clock, state: Mutex::new(State { tables, ..State::default() }) }
    }

    /// The next commits of any store fail like this, one after another.
    pub fn fail_next_commits(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// What was told to fail fails no more.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// While away, every call of every store is [`PortError::Unavailable`].
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    // A panic in another thread leaves at worst a draft behind, never half a commit.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same of what is somebody's.
    pub(crate) fn read_personal<T: Personal>(
        &self,
        read: impl FnOnce(&Tables) -> T,
    ) -> Result<Unrecorded<T>, PortError> {
        self.read(read).map(Unrecorded::new)
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, PortError> {
        let state = self.lock();
        if state.away { Err(away()) } else { Ok(read(&state.tables)) }
    }
}

fn away() -> PortError {
    PortError::unavailable(Dependency::Database, "told to be away")
}

impl std::fmt::Debug for MemoryWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryWorld").finish_non_exhaustive()
    }
}
