//! A signed-in person sets another password.

use super::{
    SessionDeps,
    shared::{ROUNDS, contended, lasting},
};
use crate::{
    ChangePasswordError, NewPassword,
    events::Announcement,
    model::{Account, EndReason},
    ports::{AccountChange, EndSessions},
};
use amrutam_kernel::{Action, Context, Denial, Outcome, Sensitive};

/// What a person gives.
#[derive(Debug, Clone)]
pub struct ChangePassword {
    /// The present one.
    pub current: Sensitive<String>,
    /// The next one.
    pub new: NewPassword,
}

/// Sets the password and ends every other session; links in mails on their way are void.
pub async fn change_password(
    deps: SessionDeps<'_>,
    context: &Context,
    command: ChangePassword,
) -> Result<(), ChangePasswordError> {
    let core = deps.core;
    let caller = core.permit_own(context, Action::PasswordChange).await?;
    for _ in 0..ROUNDS {
        let account = core
            .accounts
            .by_id(caller.account)
            .await?
            .undisclosed()
            .filter(Account::is_active)
            .ok_or(Denial::Hidden)?;
        if !core.hasher.verify(&command.current, account.password_hash.as_ref()).await? {
            core.record_denial(context, Action::PasswordChange.as_str(), Some(account.id)).await?;
            return Err(ChangePasswordError::WrongPassword);
        }
        let (email, name) = (account.email.expose(), account.profile.full_name.expose());
        let hash = core.hash::<ChangePasswordError>(&command.new, email, name).await?;
        let now = core.clock.now();
        let account =
            Account { password_hash: Some(hash), password_set_at: Some(now), version: account.version + 1, ..account };
        let except = Some(caller.sign_in.session);
        let change = AccountChange {
            account: &account,
            spend: None,
            void_links: Some(now),
            end_sessions: Some(EndSessions { reason: EndReason::PasswordChanged, except, at: now }),
        };
        let (on_record, announced) = ((account.id, Outcome::Allowed), Some(Announcement::PasswordChanged));
        let effects = core.effects(context, now, Action::PasswordChange.as_str(), on_record, announced);
        match core.accounts.update(change, &effects).await {
            Ok(ended) => {
                deps.notices.ended(&ended).await;
                return Ok(());
            }
            Err(error) => lasting(error)?,
        }
    }
    Err(contended().into())
}
