//! A mailed link sets a password: in place of a forgotten one, or an invited person's first.

use super::{
    LinkDeps,
    shared::{ROUNDS, contended, lasting},
};
use crate::{
    NewPassword, SetPasswordError,
    events::Announcement,
    model::{Account, EndReason},
    ports::{AccountChange, EndSessions},
};
use amrutam_kernel::{AccountId, Context, LinkPurpose, Outcome, Sensitive};

/// Sets a new password and ends every session. The second factor stays: a mailbox alone lets nobody in.
pub async fn reset_password(
    deps: LinkDeps<'_>,
    context: &Context,
    token: &Sensitive<String>,
    password: &NewPassword,
) -> Result<AccountId, SetPasswordError> {
    set_password(deps, context, LinkPurpose::ResetPassword, token, password).await
}

/// Sets an invited person's first password.
pub async fn accept_invitation(
    deps: LinkDeps<'_>,
    context: &Context,
    token: &Sensitive<String>,
    password: &NewPassword,
) -> Result<AccountId, SetPasswordError> {
    set_password(deps, context, LinkPurpose::Invitation, token, password).await
}

async fn set_password(
    deps: LinkDeps<'_>,
    context: &Context,
    purpose: LinkPurpose,
    token: &Sensitive<String>,
    password: &NewPassword,
) -> Result<AccountId, SetPasswordError> {
    let core = deps.core;
    let (action, announced) = match purpose {
        LinkPurpose::Invitation => ("account.accept_invitation", None),
        LinkPurpose::ResetPassword | LinkPurpose::VerifyEmail => {
            ("account.reset_password", Some(Announcement::PasswordChanged))
        }
    };
    for _ in 0..ROUNDS {
        // A new invitation may have crossed an acceptance: an open account's password is reset, not accepted.
        let is_open = |account: &Account| purpose != LinkPurpose::Invitation || account.is_invited();
        let found = deps.working_link(purpose, token).await?.filter(|(_, account)| is_open(account));
        let Some((link, account)) = found else {
            core.record_denial(context, action, None).await?;
            return Err(SetPasswordError::InvalidLink);
        };
        let (email, name) = (account.email.expose(), account.profile.full_name.expose());
        let hash = core.hash::<SetPasswordError>(password, email, name).await?;
        let now = core.clock.now();
        let account = Account {
            password_hash: Some(hash),
            password_set_at: Some(now),
            // Whoever holds the link reads the mailbox.
            email_verified_at: account.email_verified_at.or(Some(now)),
            version: account.version + 1,
            ..account
        };
        let change = AccountChange {
            account: &account,
            spend: Some((link.id, now)),
            void_links: Some(now),
            end_sessions: Some(EndSessions { reason: EndReason::PasswordChanged, except: None, at: now }),
        };
        let effects = core.effects(context, now, action, (account.id, Outcome::Allowed), announced);
        match core.accounts.update(change, &effects).await {
            Ok(ended) => {
                deps.notices.ended(&ended).await;
                return Ok(account.id);
            }
            Err(error) => lasting(error)?,
        }
    }
    Err(contended().into())
}
