//! A person asks for a copy of all that is held of them.

use super::{
    ExportDeps,
    shared::{ROUNDS, Told, alone, decide_own, event_id},
    sweep_exports::end,
};
use crate::{
    ExportError, events,
    model::Export,
    ports::{ArchiveChange, ExportChanges},
};
use amrutam_kernel::{
    Action, CommitError, Context, Dependency, Effects, ExportId, Idempotent, Outcome, PortError, Recorded, StoredAnswer,
};

/// Orders one, or answers with the one that is open: nobody has two.
pub async fn request_export(
    deps: ExportDeps<'_>,
    context: &Context,
    idempotency: Option<Idempotent<'_, Export>>,
) -> Result<(Export, Option<StoredAnswer>), ExportError> {
    let now = deps.clock.now();
    let told =
        |id: String| Told { name: "export.request", kind: "export", id, about: context.actor.account(), context };
    let account = match decide_own(deps.policy, context, Action::RecordExport, now) {
        Ok(account) => account,
        Err(denial) => {
            deps.store.put_on_record(&alone(told(String::new()).entry(deps.ids, Outcome::Denied, now))).await?;
            return Err(denial.into());
        }
    };
    let claim = idempotency.as_ref().map(|idempotent| idempotent.claim);
    for _ in 0..ROUNDS {
        let now = deps.clock.now();
        let snapshot = deps.store.snapshot(account, claim).await?;
        match snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(ExportError::Replay(answer)),
            Some(Recorded::Other) => return Err(ExportError::KeyReused),
            None => {}
        }
        if let Some(open) = snapshot.open {
            if end(deps.store, deps.ids, context, &open, now).await? {
                continue;
            }
            let answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&open));
            let entry = told(open.id.to_string()).entry(deps.ids, Outcome::Allowed, now);
            let effects = Effects { answer: answer.clone(), ..alone(entry) };
            deps.store.put_on_record(&effects).await?;
            return Ok((open, answer.map(|(_, answer)| answer)));
        }
        let export = Export::new(ExportId::from_uuid(deps.ids.uuid_v7(now)), account, now);
        let event = events::export_event(events::EXPORT_REQUESTED, event_id(deps.ids, now), &export, context, now);
        let answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&export));
        let effects = Effects {
            events: vec![event],
            audit: vec![told(export.id.to_string()).entry(deps.ids, Outcome::Allowed, now)],
            answer: answer.clone(),
            ..Effects::default()
        };
        let changes = ExportChanges { export: export.clone(), archive: ArchiveChange::Stays, effects };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok((export, answer.map(|(_, answer)| answer))),
            Err(CommitError::Stale | CommitError::Busy) => {}
            Err(CommitError::AlreadyAnswered | CommitError::AlreadyHandled) => {
                return Err(ExportError::AlreadyAnswered);
            }
            Err(CommitError::Port(error)) => return Err(error.into()),
        }
    }
    Err(PortError::unavailable(Dependency::Database, "too many exports of one account at once").into())
}
