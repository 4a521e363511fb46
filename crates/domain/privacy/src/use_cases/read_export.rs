//! How a copy stands, and the link to it.

use super::{
    ExportDeps,
    shared::{Told, alone, relation_to},
};
use crate::{
    ExportError,
    model::{Export, ExportState, LINK_LIVES},
    ports::DownloadClaims,
};
use amrutam_kernel::{AccountId, Action, Context, Denial, ExportId, Outcome, Sensitive};
use jiff::Timestamp;

/// An export as its owner sees it.
#[derive(Debug, Clone)]
pub struct SeenExport {
    /// The export.
    pub export: Export,
    /// How it stands now.
    pub state: ExportState,
    /// When it waits to be taken: the token of a link to it, and until when that works.
    pub link: Option<(Sensitive<String>, Timestamp)>,
}

/// One's own export. Each look makes a new link; taking the archive once ends all of them.
pub async fn read_export(deps: ExportDeps<'_>, context: &Context, id: ExportId) -> Result<SeenExport, ExportError> {
    let now = deps.clock.now();
    let (export, _) = own_export(deps, context, id, "export.read", now).await?;
    let state = export.seen_at(now);
    let link = match (state, export.open_until()) {
        (ExportState::Ready { .. }, Some(until)) => {
            let expires_at = until.min(now.checked_add(LINK_LIVES).unwrap_or(now));
            let claims = DownloadClaims { export: export.id, account: export.account, issued_at: now, expires_at };
            Some((deps.tokens.issue_download(&claims, deps.ids.uuid_v7(now))?, expires_at))
        }
        _ => None,
    };
    let told = Told { name: "export.read", kind: "export", id: id.to_string(), about: Some(export.account), context };
    deps.store.put_on_record(&alone(told.entry(deps.ids, Outcome::Allowed, now))).await?;
    Ok(SeenExport { export, state, link })
}

/// The export, when it is the caller's; a denial is on the record when this returns.
pub(super) async fn own_export(
    deps: ExportDeps<'_>,
    context: &Context,
    id: ExportId,
    name: &'static str,
    now: Timestamp,
) -> Result<(Export, AccountId), ExportError> {
    let found = deps.store.find(id).await?;
    let owner = found.as_ref().map(|export| export.account);
    let decided = deps.policy.decide(context, Action::ExportRead, relation_to(context, owner), now);
    match (decided, found, owner) {
        (Ok(_), Some(export), Some(owner)) => Ok((export, owner)),
        (decided, _, about) => {
            let told = Told { name, kind: "export", id: id.to_string(), about, context };
            deps.store.put_on_record(&alone(told.entry(deps.ids, Outcome::Denied, now))).await?;
            Err(decided.err().unwrap_or(Denial::Hidden).into())
        }
    }
}
