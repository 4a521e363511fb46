//! Where one is signed in, and ending that.

use super::{
    SessionDeps,
    shared::{Caller, relation_to},
};
use crate::{
    SessionError,
    model::{EndReason, Session},
    ports::{ByLogIn, EndSessions},
};
use amrutam_kernel::{AccountId, Action, Context, Denial, Outcome, Page, PageRequest, SessionId};

/// A page of the caller's live sessions, the newest log-in first.
pub async fn list_sessions(
    deps: SessionDeps<'_>,
    context: &Context,
    page: PageRequest<ByLogIn>,
) -> Result<Page<Session, ByLogIn>, SessionError> {
    let core = deps.core;
    let caller = core.permit_own(context, Action::SessionList).await?;
    let now = core.clock.now();
    let sessions = deps.sessions.page(caller.account, now, page).await?;
    Ok(core.shown(context, Action::SessionList.as_str(), caller.account, sessions).await?)
}

/// Ends the session of this request.
pub async fn log_out(deps: SessionDeps<'_>, context: &Context) -> Result<(), SessionError> {
    let Caller { account, sign_in } = deps.core.permit_own(context, Action::SessionEnd).await?;
    end(deps, context, account, sign_in.session, EndReason::LoggedOut).await
}

/// Ends one of one's own sessions. Others' look like none, also to whoever may end all of an account's.
pub async fn end_session(deps: SessionDeps<'_>, context: &Context, id: SessionId) -> Result<(), SessionError> {
    let core = deps.core;
    let Caller { account, .. } = core.permit_own(context, Action::SessionEnd).await?;
    let session = deps.sessions.by_id(id).await?;
    let about = session.as_ref().map(|session| session.account);
    if about != Some(account) {
        core.record_denial(context, Action::SessionEnd.as_str(), about).await?;
        return Err(Denial::Hidden.into());
    }
    let live = session.filter(|session| session.is_live(core.clock.now()));
    core.named::<_, SessionError>(context, Action::SessionEnd.as_str(), account, live).await?;
    end(deps, context, account, id, EndReason::Ended).await
}

async fn end(
    deps: SessionDeps<'_>,
    context: &Context,
    account: AccountId,
    id: SessionId,
    reason: EndReason,
) -> Result<(), SessionError> {
    let core = deps.core;
    let now = core.clock.now();
    let on_record = (account, Outcome::Allowed);
    let effects = core.effects(context, now, Action::SessionEnd.as_str(), on_record, None);
    // One that has ended in between is ended: that is what was asked for.
    deps.sessions.end(id, now, reason, &effects).await?;
    deps.notices.ended(&[id]).await;
    Ok(())
}

/// Ends every session of the caller, this one too.
pub async fn log_out_everywhere(deps: SessionDeps<'_>, context: &Context) -> Result<(), SessionError> {
    let caller = deps.core.permit_own(context, Action::SessionEnd).await?;
    end_all(deps, context, caller.account, EndReason::LoggedOut).await
}

/// Ends every session of an account: by its owner, or by whoever looks after accounts.
pub async fn end_sessions_of(deps: SessionDeps<'_>, context: &Context, account: AccountId) -> Result<(), SessionError> {
    let core = deps.core;
    core.permit(context, Action::SessionEnd, relation_to(context, account), Some(account)).await?;
    let found = core.accounts.by_id(account).await?.undisclosed();
    core.named::<_, SessionError>(context, "session.end_all", account, found).await?;
    end_all(deps, context, account, EndReason::Ended).await
}

async fn end_all(
    deps: SessionDeps<'_>,
    context: &Context,
    account: AccountId,
    reason: EndReason,
) -> Result<(), SessionError> {
    let core = deps.core;
    let now = core.clock.now();
    let on_record = (account, Outcome::Allowed);
    let effects = core.effects(context, now, "session.end_all", on_record, None);
    let end = EndSessions { reason, except: None, at: now };
    let ended = deps.sessions.end_all(account, end, &effects).await?;
    deps.notices.ended(&ended).await;
    Ok(())
}
