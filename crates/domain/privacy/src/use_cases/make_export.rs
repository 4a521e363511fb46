//! The worker makes the archive.

use super::shared::{Told, event_id};
use crate::{
    GatherError, events,
    model::{Dossier, Export, ExportState, FailureReason, Step},
    ports::{ArchiveChange, Archiver, ExportChanges, ExportStore, Holdings},
};
use amrutam_kernel::{
    AuditTrail, Clock, CommitError, Context, Effects, EventEnvelope, ExportId, Handled, HandlerError, IdSource,
    InboxMark, Outcome, Personal, Purpose, Sensitive,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The system's part that makes copies.
const EXPORTER: &str = "exporter";

/// What making works with.
#[derive(Clone, Copy)]
pub struct MakerDeps<'a> {
    /// Exports.
    pub store: &'a dyn ExportStore,
    /// All that is held of people.
    pub holdings: &'a dyn Holdings,
    /// Makes one file of many.
    pub archiver: &'a dyn Archiver,
    /// The record.
    pub trail: &'a dyn AuditTrail,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// Handles `export.requested.v1`. What is read for it is on the record before anything is made of it.
pub async fn make_export(deps: MakerDeps<'_>, event: &EventEnvelope) -> Result<Handled, HandlerError> {
    let Some(export) = wanted(deps, event).await? else { return Ok(Handled::Ignored) };
    let context = Context::following(EXPORTER, event);
    let gathered = match deps.holdings.gather(export.account).await {
        Ok(gathered) => gathered,
        Err(GatherError::TooLarge) => {
            let step = Step::GaveUp(FailureReason::TooLarge);
            return commit(deps, event, &context, &export, step, ArchiveChange::Stays).await;
        }
        Err(GatherError::Port(error)) => return Err(error.into()),
    };
    let now = deps.clock.now();
    let entries = gathered.judge(Dossier::records).into_iter().map(|record| {
        let about = Some(export.account);
        let told = Told { name: "record.export", kind: record.kind, id: record.id, about, context: &context };
        told.entry(deps.ids, Outcome::Allowed, now).with_purpose(Purpose::Own)
    });
    let entries = entries.collect();
    let dossier = gathered.release(deps.trail, entries).await?;
    let bytes = deps.archiver.pack(&dossier).map_err(|error| HandlerError::Retry(error.to_string()))?;
    let step =
        Step::Made { bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), sha256: Sha256::digest(&bytes).into() };
    commit(deps, event, &context, &export, step, ArchiveChange::Put(Sensitive::new(bytes))).await
}

async fn wanted(deps: MakerDeps<'_>, event: &EventEnvelope) -> Result<Option<Export>, HandlerError> {
    if event.event_type != events::EXPORT_REQUESTED {
        return Ok(None);
    }
    let id = event.payload.get("export_id").and_then(serde_json::Value::as_str).and_then(|id| id.parse().ok());
    let id: ExportId = id.ok_or_else(|| HandlerError::Permanent("export_id is no id".to_owned()))?;
    let found = deps.store.find(id).await?;
    Ok(found.filter(|export| export.state == ExportState::Preparing))
}

async fn commit(
    deps: MakerDeps<'_>,
    event: &EventEnvelope,
    context: &Context,
    export: &Export,
    step: Step,
    archive: ArchiveChange,
) -> Result<Handled, HandlerError> {
    let now: Timestamp = deps.clock.now();
    let Ok(next) = export.step(step, now) else { return Ok(Handled::Ignored) };
    let (event_type, outcome) = match next.state {
        ExportState::Failed(_) => (events::EXPORT_FAILED, Outcome::Failed),
        _ => (events::EXPORT_READY, Outcome::Allowed),
    };
    let told =
        Told { name: "export.make", kind: "export", id: export.id.to_string(), about: Some(export.account), context };
    let effects = Effects {
        events: vec![events::export_event(event_type, event_id(deps.ids, now), &next, context, now)],
        audit: vec![told.entry(deps.ids, outcome, now)],
        inbox: Some(InboxMark { consumer: events::CONSUMER, event: event.id }),
        ..Effects::default()
    };
    match deps.store.commit(&ExportChanges { export: next, archive, effects }).await {
        Ok(()) => Ok(Handled::Applied),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(CommitError::Port(error)) => Err(error.into()),
        // Another worker was faster, or the account was erased meanwhile: look again.
        Err(error) => Err(HandlerError::Retry(error.to_string())),
    }
}
