//! What booking hears of payments: an event leads to at most one change of its consultation.

use super::{
    Deps, call_off_ruled, confirm_paid,
    record::{Recorder, audit_entry},
    release_unpaid,
};
use crate::{
    ConsumeError,
    model::{Consultation, ConsultationStatus, TimelineKind},
    ports::{Changes, ConsultationSnapshot},
};
use amrutam_kernel::{
    Action, CommitError, ConsultationId, Context, Effects, EventEnvelope, Handled, InboxMark, Outcome, PortError,
};
use serde::Deserialize;
use std::time::Duration;

/// The consumer's fixed name: its queue and its inbox marks are known by it.
pub const CONSUMER: &str = "booking";

/// What it hears.
pub const BINDINGS: &[&str] = &["payment.captured.v1", "payment.failed.v1", "payment.ruled.v1"];

/// How often a commit that met a change is decided anew before the event is left for later.
const MAX_COMMITS: u32 = 10;

// Fields that are not read here may come and go.
#[derive(Deserialize)]
struct Payload {
    consultation_id: ConsultationId,
}

/// Handles one event: its effect and its inbox mark are committed when this returns. A redelivered event does nothing.
pub async fn handle(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, ConsumeError> {
    match event.event_type.as_str() {
        "payment.captured.v1" => confirm_paid(deps, event).await,
        "payment.failed.v1" => release_unpaid(deps, event).await,
        "payment.ruled.v1" => call_off_ruled(deps, event).await,
        _ => ignored(deps, event).await,
    }
}

/// Nothing to do, on the record.
pub(super) async fn ignored(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, ConsumeError> {
    let changes = Changes { effects: marked(event), ..Changes::default() };
    amrutam_kernel::recorded(deps.store.commit(&changes).await)?;
    Ok(Handled::Ignored)
}

/// What a consumer decides on.
pub(super) struct Seen {
    pub(super) snapshot: ConsultationSnapshot,
    /// Money for it was declined before.
    pub(super) declined: bool,
}

/// What a consumer makes of a consultation.
pub(super) enum Decided {
    /// It is another now; with its slot and calendar recorded.
    Changed(Box<Consultation>),
    /// It is as it should be.
    Nothing,
}

/// Loads, lets `decide` record what follows, commits it with the inbox mark; again when something changed in between.
pub(super) async fn consume(
    deps: Deps<'_>,
    event: &EventEnvelope,
    action: Action,
    decide: impl Fn(&Context, &Seen, &mut Recorder<'_>) -> Decided + Send + Sync,
) -> Result<Handled, ConsumeError> {
    let payload = Payload::deserialize(&event.payload).map_err(|_| ConsumeError::Malformed)?;
    let context = Context::following(CONSUMER, event);
    for round in 1..=MAX_COMMITS {
        let snapshot = deps.store.consultation_snapshot(payload.consultation_id, None, None).await?;
        let sides = snapshot.as_ref().map(|found| (found.consultation.patient, found.doctor.account));
        let target = deps.asking(&context).visit(payload.consultation_id, sides);
        deps.permit::<ConsumeError>(&context, action, target).await?;
        let seen = match snapshot {
            Some(snapshot) => Some(Seen { declined: declined(deps, &snapshot.consultation).await?, snapshot }),
            None => None,
        };
        let mut record = Recorder::new(deps, deps.clock.now());
        let decided = seen.as_ref().map_or(Decided::Nothing, |seen| decide(&context, seen, &mut record));
        let mut changes = record.changes;
        let handled = match (&seen, decided) {
            (Some(Seen { snapshot, .. }), Decided::Changed(after)) => {
                let now = deps.clock.now();
                let entry = audit_entry(deps.ids, &context, now, action.as_str(), &after, Outcome::Allowed);
                changes.effects.audit.push(entry);
                changes.updated.push((*after, snapshot.consultation.version));
                Handled::Applied
            }
            _ => {
                changes = Changes::default();
                Handled::Ignored
            }
        };
        changes.effects.inbox = Some(InboxMark { consumer: CONSUMER, event: event.id });
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(handled),
            Err(CommitError::AlreadyHandled | CommitError::AlreadyAnswered) => return Ok(Handled::Duplicate),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(CommitError::Stale | CommitError::Busy) => {
                let millis = 1 + deps.ids.below(25 * u64::from(round.min(4)));
                deps.pause.pause(Duration::from_millis(millis)).await;
            }
        }
    }
    Err(ConsumeError::Contended)
}

/// Read after the snapshot: what is noted later raises the version that the commit is guarded by.
async fn declined(deps: Deps<'_>, consultation: &Consultation) -> Result<bool, PortError> {
    if consultation.status != ConsultationStatus::Expired {
        return Ok(false);
    }
    let timeline = deps.store.timeline(consultation.id).await?;
    Ok(timeline.judge(|timeline| timeline.iter().any(|entry| entry.kind == TimelineKind::Noted)))
}

fn marked(event: &EventEnvelope) -> Effects {
    Effects { inbox: Some(InboxMark { consumer: CONSUMER, event: event.id }), ..Effects::default() }
}

impl From<ConsumeError> for amrutam_kernel::HandlerError {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Malformed | ConsumeError::Denied(_) => Self::Permanent(error.to_string()),
            ConsumeError::Contended => Self::Retry(error.to_string()),
            ConsumeError::Port(error) => PortError::into(error),
        }
    }
}
