//! What tests may look at, past the ports.

use super::{MemoryWorld, StoredTask, TaskState};
use amrutam_booking::model::{Consultation, Practitioner, Slot};
use amrutam_identity::{
    Account,
    model::{Link, Session},
};
use amrutam_kernel::{AuditEntry, EventEnvelope, EventId, Requeue};
use amrutam_notifications::{ScheduledMessage, ports::Settled};
use amrutam_operations::model::{DeadLetter, ReviewCase};
use amrutam_payments::model::{GatewayTask, Journal, Payment};
use jiff::Timestamp;

impl MemoryWorld {
    /// Every event announced, in order.
    pub fn outbox(&self) -> Vec<EventEnvelope> {
        self.lock().outbox.clone()
    }

    /// Takes the events out, as a relay does that has published them.
    pub fn drain_outbox(&self) -> Vec<EventEnvelope> {
        std::mem::take(&mut self.lock().outbox)
    }

    /// Every audit entry, in order.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.lock().audit.clone()
    }

    /// Which consumer has handled which event.
    pub fn inbox(&self) -> Vec<(String, EventId)> {
        self.lock().tables.inbox.iter().cloned().collect()
    }

    /// Every account, by id.
    pub fn accounts(&self) -> Vec<Account> {
        self.lock().tables.accounts.values().cloned().collect()
    }

    /// Every session, ended ones too, by id.
    pub fn sessions(&self) -> Vec<Session> {
        self.lock().tables.sessions.values().cloned().collect()
    }

    /// Every one-time link, spent ones too, by id.
    pub fn links(&self) -> Vec<Link> {
        self.lock().tables.links.values().copied().collect()
    }

    /// Every profile, by id.
    pub fn practitioners(&self) -> Vec<Practitioner> {
        self.lock().tables.practitioners.values().cloned().collect()
    }

    /// Every slot, withdrawn ones too, by id.
    pub fn slots(&self) -> Vec<Slot> {
        self.lock().tables.slots.values().cloned().collect()
    }

    /// Every consultation, by id.
    pub fn consultations(&self) -> Vec<Consultation> {
        self.lock().tables.consultations.values().cloned().collect()
    }

    /// Every message with what became of it, by id.
    pub fn messages(&self) -> Vec<(ScheduledMessage, Option<Settled>)> {
        self.lock().tables.messages.values().map(|m| (m.message.clone(), m.settled.clone())).collect()
    }

    /// Every payment, by id.
    pub fn payments(&self) -> Vec<Payment> {
        self.lock().tables.payments.values().cloned().collect()
    }

    /// The ledger, in the order of writing.
    pub fn journals(&self) -> Vec<Journal> {
        self.lock().tables.journals.to_vec()
    }

    /// Every gateway task with how it stands: what went wrong last, and whether it is over.
    pub fn gateway_tasks(&self) -> Vec<(GatewayTask, Option<String>, bool)> {
        let over = |task: &StoredTask| matches!(task.state, TaskState::Done | TaskState::Dead);
        self.lock().tables.gateway_tasks.values().map(|t| (t.task.clone(), t.error.clone(), over(t))).collect()
    }

    /// When the next live gateway task is due, leases included.
    pub fn next_gateway_task_at(&self) -> Option<Timestamp> {
        let state = self.lock();
        let due = state.tables.gateway_tasks.values().filter_map(|stored| match stored.state {
            TaskState::Waiting => Some(stored.task.due_at),
            TaskState::Claimed { until } => Some(until),
            TaskState::Done | TaskState::Dead => None,
        });
        due.min()
    }

    /// Every dead letter, by id.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.lock().tables.letters.values().cloned().collect()
    }

    /// Every event that was handed out again, to whom, in order.
    pub fn requeued(&self) -> Vec<(Requeue, EventEnvelope)> {
        self.lock().tables.requeued.clone()
    }

    /// Every review case, by id.
    pub fn review_cases(&self) -> Vec<ReviewCase> {
        self.lock().tables.reviews.values().cloned().collect()
    }
}
