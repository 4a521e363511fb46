//! The archive is given away, once.

use super::{
    ExportDeps,
    read_export::own_export,
    shared::{Told, alone},
};
use crate::{
    ExportError,
    model::{Export, ExportState, Step},
    ports::{ArchiveChange, ExportChanges},
};
use amrutam_kernel::{CommitError, Context, Effects, ExportId, Outcome, Sensitive};

const NAME: &str = "export.download";

/// The bytes, to the owner who shows a link's token. Of several at once one gets them: they are deleted, and the access is on the
/// record, before they leave.
pub async fn download(
    deps: ExportDeps<'_>,
    context: &Context,
    id: ExportId,
    token: &Sensitive<String>,
) -> Result<(Export, Sensitive<Vec<u8>>), ExportError> {
    let now = deps.clock.now();
    let (export, owner) = own_export(deps, context, id, NAME, now).await?;
    let told = || Told { name: NAME, kind: "export", id: id.to_string(), about: Some(owner), context };
    let proven = deps
        .tokens
        .verify_download(token.expose(), now)
        .is_some_and(|claims| claims.export == id && claims.account == owner);
    if !proven {
        deps.store.put_on_record(&alone(told().entry(deps.ids, Outcome::Denied, now))).await?;
        return Err(ExportError::NotFound);
    }
    match export.seen_at(now) {
        ExportState::Preparing => return Err(ExportError::NotReady),
        ExportState::Ready { .. } => {}
        ExportState::Downloaded | ExportState::Expired | ExportState::Failed(_) => return Err(ExportError::Gone),
    }
    let taken = export.step(Step::TakenAway, now).map_err(|_| ExportError::Gone)?;
    let Some(archive) = deps.store.archive(&export).await? else { return Err(ExportError::Gone) };
    let entry = told().entry(deps.ids, Outcome::Allowed, now);
    let discard = async |audit| {
        let effects = Effects { audit, ..Effects::default() };
        let changes = ExportChanges { export: taken.clone(), archive: ArchiveChange::Discard, effects };
        deps.store.commit(&changes).await
    };
    match archive.release_by(vec![entry], discard).await {
        Ok(archive) => Ok((taken, archive.bytes)),
        // Another request has them, or the account is erased.
        Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyAnswered | CommitError::AlreadyHandled) => {
            Err(ExportError::Gone)
        }
        Err(CommitError::Port(error)) => Err(error.into()),
    }
}
