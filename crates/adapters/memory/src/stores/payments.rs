//! Payments, their tasks, the ledger.

use crate::world::{MemoryWorld, StoredTask, Tables, TaskState, defect, into_port_error};
use amrutam_kernel::{
    CommitError, Effects, GatewayTaskId, IdempotencyClaim, PaymentId, PortError, TimeRange, Unrecorded,
};
use amrutam_payments::{
    model::{Capture, Entry, GatewayName, GatewayTask, Journal, Payment, PaymentEntry, RefundStep, TaskEnd},
    ports::{Balances, Booked, Locator, PaymentChanges, PaymentSnapshot, PaymentStore, PaymentWrite},
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

fn find<'a>(tables: &'a Tables, locator: Locator<'_>) -> Option<&'a Payment> {
    match locator {
        Locator::Id(id) => tables.payments.get(&id),
        Locator::Order(gateway, order) => {
            tables.payments.values().find(|found| found.gateway == *gateway && found.order_ref() == Some(order))
        }
        Locator::Capture(gateway, reference) => {
            tables.payments.values().find(|found| found.gateway == *gateway && found.capture(reference).is_some())
        }
        Locator::Task(task) => {
            tables.gateway_tasks.get(&task).and_then(|found| tables.payments.get(&found.task.payment))
        }
    }
}

fn is_live(stored: &StoredTask) -> bool {
    matches!(stored.state, TaskState::Waiting | TaskState::Claimed { .. })
}

#[async_trait]
impl PaymentStore for MemoryWorld {
    async fn snapshot(
        &self,
        locator: Locator<'_>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<PaymentSnapshot>, PortError> {
        let now = self.now();
        self.read(|tables| {
            let payment = find(tables, locator).cloned();
            let theirs = |stored: &&StoredTask| {
                is_live(stored) && payment.as_ref().is_some_and(|payment| payment.id == stored.task.payment)
            };
            let mut tasks: Vec<_> =
                tables.gateway_tasks.values().filter(theirs).map(|stored| stored.task.clone()).collect();
            tasks.sort_by(|one, other| one.key.cmp(&other.key));
            Unrecorded::new(PaymentSnapshot { recorded: tables.recorded(claim, now), payment, tasks })
        })
    }

    async fn commit(&self, changes: &PaymentChanges) -> Result<(), CommitError> {
        let now = self.now();
        let mut tx = self.begin(&changes.effects)?;
        let tables = tx.tables();
        if let Some(seen) = &changes.seen
            && !tables.webhooks.insert(seen.clone())
        {
            return Err(CommitError::AlreadyHandled);
        }
        write(tables, changes)?;
        for journal in &changes.journals {
            if !tables.payments.contains_key(&journal.payment) {
                return Err(defect("a journal is about a payment that is there").into());
            }
            if tables.journals.iter().any(|known| known.id == journal.id) {
                return Err(defect("a journal's id is unique").into());
            }
            tables.journals.push(journal.clone());
        }
        if let Some((id, claim, end)) = &changes.ended {
            settle(tables, *id, *claim, end, now)?;
        }
        for task in &changes.tasks {
            put_task(tables, task)?;
        }
        tx.commit()
    }

    async fn timeline(&self, id: PaymentId) -> Result<Unrecorded<Vec<PaymentEntry>>, PortError> {
        self.read(|tables| {
            let lines = tables.payment_timeline.get(&id).into_iter().flat_map(|lines| lines.values().cloned());
            Unrecorded::new(lines.collect())
        })
    }

    async fn claim_tasks(&self, lease: SignedDuration, limit: u16) -> Result<Vec<GatewayTask>, PortError> {
        let now = self.now();
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let is_due = |stored: &StoredTask| match stored.state {
            TaskState::Waiting => stored.task.due_at <= now,
            TaskState::Claimed { until } => until <= now,
            TaskState::Done | TaskState::Dead => false,
        };
        let mut due: Vec<_> = tx.tables().gateway_tasks.values_mut().filter(|stored| is_due(stored)).collect();
        due.sort_by_key(|stored| (stored.task.due_at, stored.task.id));
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let claimed = due
            .into_iter()
            .take(usize::from(limit))
            .map(|stored| {
                stored.state = TaskState::Claimed { until };
                stored.task.tries += 1;
                stored.task.claims += 1;
                stored.task.clone()
            })
            .collect();
        tx.commit().map_err(into_port_error)?;
        Ok(claimed)
    }

    async fn overdue(&self, now: Timestamp, limit: u16) -> Result<Vec<PaymentId>, PortError> {
        self.read(|tables| {
            let waiting = tables.payments.values();
            let mut due: Vec<_> =
                waiting.filter_map(|p| p.look_at.filter(|at| *at <= now).map(|at| (at, p.id))).collect();
            due.sort_unstable();
            due.into_iter().take(usize::from(limit)).map(|(_, id)| id).collect()
        })
    }

    async fn booked(
        &self,
        gateway: &GatewayName,
        range: TimeRange,
        after: Option<&Booked>,
        limit: u16,
    ) -> Result<Vec<Booked>, PortError> {
        let key = |booked: &Booked| (booked.at, booked.refund.is_some(), name(booked));
        self.read(|tables| {
            let theirs = tables.payments.values().filter(|payment| payment.gateway == *gateway);
            let mut found: Vec<_> = theirs
                .flat_map(|payment| payment.captures.iter().flat_map(|capture| entries(payment.id, capture)))
                .filter(|booked| range.contains(booked.at) && after.is_none_or(|after| key(after) < key(booked)))
                .collect();
            found.sort_by_key(key);
            found.truncate(usize::from(limit));
            found
        })
    }

    async fn balances(&self) -> Result<Balances, PortError> {
        self.read(|tables| {
            let mut balances = Balances::new();
            for line in tables.journals.iter().flat_map(Journal::lines) {
                let balance = balances.entry((line.account.to_string(), line.amount.currency())).or_default();
                match line.entry {
                    Entry::Debit => *balance += line.amount.amount(),
                    Entry::Credit => *balance -= line.amount.amount(),
                }
            }
            balances
        })
    }
}

fn name(booked: &Booked) -> String {
    booked.refund.as_ref().map_or(booked.of.as_str(), |refund| refund.as_str()).to_owned()
}

fn entries(payment: PaymentId, capture: &Capture) -> impl Iterator<Item = Booked> {
    let of = capture.reference.clone();
    let captured = Booked { payment, of: of.clone(), refund: None, amount: capture.amount, at: capture.at };
    let refund = capture.refund.as_ref().and_then(|refund| match &refund.step {
        RefundStep::Processed { reference: Some(reference), at } => {
            Some(Booked { payment, of, refund: Some(reference.clone()), amount: refund.amount, at: *at })
        }
        _ => None,
    });
    std::iter::once(captured).chain(refund)
}

fn write(tables: &mut Tables, changes: &PaymentChanges) -> Result<(), CommitError> {
    let (payment, read) = match &changes.payment {
        None if changes.timeline.is_empty() && changes.journals.is_empty() => return Ok(()),
        None => return Err(defect("steps and journals come with their payment").into()),
        Some(PaymentWrite::Create(payment)) => {
            if tables.payments.contains_key(&payment.id) {
                return Err(CommitError::Stale);
            }
            (payment, 0)
        }
        Some(PaymentWrite::Update(payment)) => {
            let stored = tables.payments.get(&payment.id).filter(|stored| stored.revision == payment.revision - 1);
            let stored = stored.ok_or(CommitError::Stale)?;
            let kept = |p: &Payment| (p.parties, p.amount, p.gateway.clone(), p.created_at);
            if kept(stored) != kept(payment) {
                return Err(defect("a payment keeps its visit, its sides, its price and its gateway").into());
            }
            (payment, stored.version)
        }
    };
    if payment.consultation().is_some_and(|visit| PaymentId::of(visit) != payment.id) {
        return Err(defect("a payment has the UUID of its consultation").into());
    }
    let taken = |capture: &Capture| {
        let others =
            tables.payments.values().filter(|other| other.id != payment.id && other.gateway == payment.gateway);
        others.into_iter().any(|other| other.capture(&capture.reference).is_some())
    };
    if payment.captures.iter().any(taken) {
        return Err(defect("a capture belongs to one payment").into());
    }
    let steps: Vec<_> = changes.timeline.iter().map(|entry| entry.version).collect();
    if !steps.iter().copied().eq(read + 1..=payment.version) {
        return Err(defect("one line of the timeline for each new version of a payment").into());
    }
    let lines = tables.payment_timeline.entry(payment.id).or_default();
    for entry in &changes.timeline {
        if entry.payment != payment.id || lines.insert(entry.version, entry.clone()).is_some() {
            return Err(defect("a line of the timeline is its payment's, once").into());
        }
    }
    tables.payments.insert(payment.id, payment.clone());
    Ok(())
}

fn settle(
    tables: &mut Tables,
    id: GatewayTaskId,
    claim: u32,
    end: &TaskEnd,
    now: Timestamp,
) -> Result<(), CommitError> {
    let stored = tables.gateway_tasks.get_mut(&id).filter(|stored| is_live(stored) && stored.task.claims == claim);
    let stored = stored.ok_or(CommitError::Stale)?;
    let (state, due_at, error) = match end {
        TaskEnd::Done => (TaskState::Done, None, None),
        TaskEnd::Again { at } => (TaskState::Waiting, Some(*at), None),
        TaskEnd::Retry { at, error }
        | TaskEnd::Wait { at, error }
        | TaskEnd::Rest { at, error }
        | TaskEnd::Renew { at, error } => (TaskState::Waiting, Some(*at), Some(error.clone())),
        TaskEnd::Dead { error } => (TaskState::Dead, None, Some(error.clone())),
    };
    match end {
        TaskEnd::Again { .. } | TaskEnd::Rest { .. } => stored.task.tries = 0,
        TaskEnd::Renew { .. } => {
            stored.task.tries = 0;
            stored.task.renewals += 1;
        }
        TaskEnd::Wait { .. } => stored.task.tries = stored.task.tries.saturating_sub(1),
        TaskEnd::Done | TaskEnd::Retry { .. } | TaskEnd::Dead { .. } => {}
    }
    stored.ended_at = matches!(state, TaskState::Done | TaskState::Dead).then_some(now);
    stored.state = state;
    stored.task.due_at = due_at.unwrap_or(stored.task.due_at);
    stored.error = error.or_else(|| stored.error.take());
    Ok(())
}

fn put_task(tables: &mut Tables, task: &GatewayTask) -> Result<(), CommitError> {
    if !tables.payments.contains_key(&task.payment) {
        return Err(defect("a task is a payment's that is there").into());
    }
    let live = tables.gateway_tasks.values_mut().find(|stored| is_live(stored) && stored.task.key == task.key);
    if let Some(live) = live {
        live.task.due_at = live.task.due_at.min(task.due_at);
        return Ok(());
    }
    let stored = StoredTask { task: task.clone(), state: TaskState::Waiting, error: None, ended_at: None };
    if tables.gateway_tasks.insert(task.id, stored).is_some() {
        return Err(defect("a task's id is unique").into());
    }
    Ok(())
}
