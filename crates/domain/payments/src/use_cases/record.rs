//! From a payment's progress to one value of changes, and its commit: a step, its timeline entry, its event, its entry on the
//! record and its journals can't part.

use super::{Deps, handle::CONSUMER};
use crate::{
    NewsError,
    events::payment_event,
    model::{GatewayTask, Journal, Payment, PaymentEntry, Progress, TaskKind},
    ports::{Locator, PaymentChanges, PaymentSnapshot, PaymentWrite},
};
use amrutam_kernel::{
    AuditEntry, AuditEntryId, CommitError, Context, EventEnvelope, EventId, GatewayTaskId, Handled, InboxMark,
    JournalId, Outcome, PortError,
};
use jiff::Timestamp;
use std::time::Duration;

/// How often a commit that met a change is decided anew before it is left for later.
const MAX_COMMITS: u32 = 10;
/// Upper bound of the first pause between two commits, in milliseconds.
const PAUSE_MS: u64 = 25;

/// The inbox mark of an event.
pub(super) fn mark(event: &EventEnvelope) -> Option<InboxMark> {
    Some(InboxMark { consumer: CONSUMER, event: event.id })
}

/// What became of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is committed.
    Committed,
    /// It was committed before.
    Already,
}

impl Noted {
    pub(super) const fn handled(self) -> Handled {
        match self {
            Self::Committed => Handled::Applied,
            Self::Already => Handled::Duplicate,
        }
    }
}

/// A payment to be made: its row is new.
pub(super) fn create(deps: Deps<'_>, context: &Context, progress: Progress, changes: &mut PaymentChanges) {
    write(deps, context, progress, true, changes);
}

/// A payment that changed. When nothing of it did, nothing of it is written.
pub(super) fn update(
    deps: Deps<'_>,
    context: &Context,
    before: &Payment,
    progress: Progress,
    changes: &mut PaymentChanges,
) {
    if progress.payment != *before {
        write(deps, context, progress, false, changes);
    }
}

fn write(deps: Deps<'_>, context: &Context, progress: Progress, new: bool, changes: &mut PaymentChanges) {
    let now = deps.clock.now();
    changes.tasks.extend(
        progress
            .new_tasks()
            .into_iter()
            .map(|(kind, key, due_at)| new_task(deps, context, &progress.payment, kind, key, due_at, now)),
    );
    let mut payment = progress.payment;
    payment.revision += 1;
    for step in &progress.steps {
        let entry = PaymentEntry {
            payment: payment.id,
            version: step.version,
            at: now,
            kind: step.kind,
            amount: step.amount,
            actor: context.actor.to_string(),
            cause: step.cause.clone(),
            evidence: step.evidence.clone(),
            event: EventId::from_uuid(deps.ids.uuid_v7(now)),
            correlation_id: context.correlation_id.clone(),
        };
        changes.effects.events.push(payment_event(&payment, &entry, step, context));
        changes.effects.audit.extend(step.kind.on_record().map(|name| audited(deps, context, &payment, name, now)));
        changes.timeline.push(entry);
    }
    for (moved, evidence) in progress.moves {
        let id = JournalId::from_uuid(deps.ids.uuid_v7(now));
        // A move balances by its shape, and none is of nothing; one that were not to would be left out, and the
        // reconciliation would tell.
        if let Ok(journal) = Journal::new(id, payment.id, moved.kind, now, evidence, moved.lines()) {
            changes.journals.push(journal);
        }
    }
    changes.payment = Some(if new { PaymentWrite::Create(payment) } else { PaymentWrite::Update(payment) });
}

fn audited(deps: Deps<'_>, context: &Context, payment: &Payment, name: &'static str, now: Timestamp) -> AuditEntry {
    let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(now));
    let entry = AuditEntry::new(id, now, context, name, "payment", payment.id.to_string(), Outcome::Allowed);
    AuditEntry { patient: payment.parties.map(|parties| parties.patient), ..entry }
}

pub(super) fn new_task(
    deps: Deps<'_>,
    context: &Context,
    payment: &Payment,
    kind: TaskKind,
    key: String,
    due_at: Timestamp,
    now: Timestamp,
) -> GatewayTask {
    GatewayTask {
        id: GatewayTaskId::from_uuid(deps.ids.uuid_v7(now)),
        payment: payment.id,
        kind,
        key,
        tries: 0,
        claims: 0,
        renewals: 0,
        due_at,
        created_at: now,
        correlation_id: context.correlation_id.clone(),
    }
}

/// Loads, lets `decide` make the changes, commits; again when something changed in between.
pub(super) async fn note(
    deps: Deps<'_>,
    locator: Locator<'_>,
    decide: impl Fn(PaymentSnapshot) -> Result<PaymentChanges, NewsError> + Send + Sync,
) -> Result<Noted, NewsError> {
    for round in 1..=MAX_COMMITS {
        let snapshot = deps.store.snapshot(locator, None).await?.undisclosed();
        let changes = decide(snapshot)?;
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(Noted::Committed),
            Err(CommitError::AlreadyAnswered | CommitError::AlreadyHandled) => return Ok(Noted::Already),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(CommitError::Stale | CommitError::Busy) => pause(deps, round).await,
        }
    }
    Err(NewsError::Contended)
}

/// Those who collided part.
pub(super) async fn pause(deps: Deps<'_>, round: u32) {
    let millis = 1 + deps.ids.below(PAUSE_MS * u64::from(round.min(4)));
    deps.pause.pause(Duration::from_millis(millis)).await;
}

/// Effects alone; repeated ones are there already.
pub(super) async fn record_alone(deps: Deps<'_>, changes: &PaymentChanges) -> Result<(), PortError> {
    amrutam_kernel::recorded(deps.store.commit(changes).await)
}
