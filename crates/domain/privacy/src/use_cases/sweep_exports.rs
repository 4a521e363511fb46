//! Archives that nobody came for, and orders that came to nothing.

use super::shared::{Told, event_id};
use crate::{
    events,
    model::{Export, ExportState, Step},
    ports::{ArchiveChange, ExportChanges, ExportStore},
};
use amrutam_kernel::{Clock, CommitError, Context, Effects, IdSource, Outcome, PortError};
use jiff::Timestamp;

/// Ends what is over, at most so many, and says how many. Their archives are deleted.
pub async fn sweep_exports(
    store: &dyn ExportStore,
    clock: &dyn Clock,
    ids: &dyn IdSource,
    context: &Context,
    most: u16,
) -> Result<usize, PortError> {
    let now = clock.now();
    let mut ended = 0;
    for export in store.due(now, most).await? {
        ended += usize::from(end(store, ids, context, &export, now).await?);
    }
    Ok(ended)
}

/// Ends one whose time is over; `false` when it is not, or has moved on.
pub(super) async fn end(
    store: &dyn ExportStore,
    ids: &dyn IdSource,
    context: &Context,
    export: &Export,
    now: Timestamp,
) -> Result<bool, PortError> {
    let Ok(next) = export.step(Step::RanOut, now) else { return Ok(false) };
    let failed = matches!(next.state, ExportState::Failed(_));
    let event = || events::export_event(events::EXPORT_FAILED, event_id(ids, now), &next, context, now);
    let told =
        Told { name: "export.end", kind: "export", id: export.id.to_string(), about: Some(export.account), context };
    let effects = Effects {
        events: if failed { vec![event()] } else { Vec::new() },
        audit: vec![told.entry(ids, Outcome::Allowed, now)],
        ..Effects::default()
    };
    match store.commit(&ExportChanges { export: next, archive: ArchiveChange::Discard, effects }).await {
        Ok(()) => Ok(true),
        Err(CommitError::Port(error)) => Err(error),
        Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyAnswered | CommitError::AlreadyHandled) => {
            Ok(false)
        }
    }
}
