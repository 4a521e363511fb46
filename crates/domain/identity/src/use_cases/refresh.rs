//! A refresh token is exchanged for a new pair.

use super::{SessionDeps, Tokens};
use crate::{
    Account, RefreshError,
    events::Announcement,
    model::{EndReason, RefreshToken, Session},
    ports::{Rotated, Rotation},
};
use amrutam_kernel::{Actor, Context, Outcome, Sensitive};

/// Gives a new pair; the presented token is spent. One that is spent already has two holders, of whom one is a thief: the
/// session ends, and its owner is told.
pub async fn refresh(
    deps: SessionDeps<'_>,
    context: &Context,
    refresh_token: &Sensitive<String>,
) -> Result<Tokens, RefreshError> {
    let core = deps.core;
    let digest = RefreshToken::parse(refresh_token).ok_or(RefreshError::InvalidToken)?.digest();
    let presented = deps.sessions.by_refresh(&digest).await?.ok_or(RefreshError::InvalidToken)?;
    let now = core.clock.now();
    let (name, owner) = ("session.refresh", presented.session.account);
    if !presented.session.is_live(now) {
        core.record_denial(context, name, Some(owner)).await?;
        return Err(over(&presented.session));
    }
    let Some(account) = core.accounts.by_id(owner).await?.undisclosed().filter(Account::is_active) else {
        core.record_denial(context, name, Some(owner)).await?;
        return Err(RefreshError::InvalidToken);
    };
    let context = Context { actor: Actor::Account { id: account.id, role: account.role }, ..context.clone() };

    let session = presented.session.used(now);
    let (next_token, next) = deps.refresh_token(session.id, presented.generation.saturating_add(1), now)?;
    let (access_token, claims) = deps.access_token(&account, &session, now)?;
    let effects = core.effects(&context, now, name, (account.id, Outcome::Allowed), None);
    let told = Some(Announcement::SessionRevoked(session.id));
    let reused = core.effects(&context, now, name, (account.id, Outcome::Denied), told);
    let rotation = Rotation { presented: &digest, next: &next, session: &session };
    match deps.sessions.rotate(rotation, &effects, (now, &reused)).await? {
        Rotated::Rotated => Ok(Tokens { access_token, claims, refresh_token: next_token.into_text() }),
        Rotated::Reused => {
            deps.notices.ended(&[session.id]).await;
            Err(RefreshError::SessionRevoked)
        }
        Rotated::Ended => Err(RefreshError::InvalidToken),
    }
}

fn over(session: &Session) -> RefreshError {
    match session.ended {
        Some((_, EndReason::TokenReused)) => RefreshError::SessionRevoked,
        _ => RefreshError::InvalidToken,
    }
}
