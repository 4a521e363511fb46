//! All or nothing.

use super::{Fault, MemoryWorld, State, Tables, away};
use amrutam_kernel::{AuditEntry, CommitError, Dependency, Effects, EventEnvelope, PortError, recorded};
use jiff::Timestamp;
use std::sync::MutexGuard;

/// A draft of the tables, under the lock. Dropping it rolls back.
pub(crate) struct Transaction<'a> {
    state: MutexGuard<'a, State>,
    now: Timestamp,
    draft: Tables,
    events: Vec<EventEnvelope>,
    audit: Vec<AuditEntry>,
}

impl MemoryWorld {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Begins with the effects: an answer that is known already is said before anything else is looked at.
    pub(crate) fn begin(&self, effects: &Effects) -> Result<Transaction<'_>, CommitError> {
        let now = self.now();
        let state = self.lock();
        if state.away {
            return Err(away().into());
        }
        let draft = state.tables.clone();
        let mut tx = Transaction { state, now, draft, events: Vec::new(), audit: Vec::new() };
        tx.carry(effects)?;
        Ok(tx)
    }
}

impl MemoryWorld {
    /// Effects that change no table of a domain.
    pub(crate) fn record_alone(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.begin(effects).and_then(Transaction::commit))
    }
}

impl Transaction<'_> {
    /// Commits these effects as well.
    pub(crate) fn carry(&mut self, effects: &Effects) -> Result<(), CommitError> {
        self.draft.mark(effects, self.now)?;
        effects.given_up.iter().for_each(|given_up| self.draft.give_up(given_up));
        self.events.extend_from_slice(&effects.events);
        self.audit.extend_from_slice(&effects.audit);
        Ok(())
    }

    pub(crate) fn tables(&mut self) -> &mut Tables {
        &mut self.draft
    }

    pub(crate) fn commit(mut self) -> Result<(), CommitError> {
        let fault = self.state.faults.pop_front();
        match fault {
            Some(Fault::Stale) => return Err(CommitError::Stale),
            Some(Fault::Busy) => return Err(CommitError::Busy),
            Some(Fault::Unavailable) => return Err(away().into()),
            Some(Fault::Defect) => return Err(defect("told to fail").into()),
            Some(Fault::LostAnswer | Fault::ThenAway) | None => {}
        }
        let known = |event: &EventEnvelope| self.state.outbox.iter().any(|other| other.id == event.id);
        if self.events.iter().any(known) {
            return Err(defect("an event's id is unique").into());
        }
        self.state.tables = self.draft;
        self.state.outbox.append(&mut self.events);
        self.state.audit.append(&mut self.audit);
        self.state.away |= fault == Some(Fault::ThenAway);
        if fault == Some(Fault::LostAnswer) { Err(away().into()) } else { Ok(()) }
    }
}

/// A rule that only a defect can break.
pub(crate) fn defect(rule: &str) -> PortError {
    PortError::defect(Dependency::Database, format!("rule broken: {rule}"))
}

/// For ports whose signature has no word for a refused commit.
pub(crate) fn into_port_error(error: CommitError) -> PortError {
    match error {
        CommitError::Port(error) => error,
        CommitError::Stale | CommitError::Busy => PortError::unavailable(Dependency::Database, error),
        CommitError::AlreadyAnswered | CommitError::AlreadyHandled => PortError::defect(Dependency::Database, error),
    }
}
