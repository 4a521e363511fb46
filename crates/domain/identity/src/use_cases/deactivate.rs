//! An account is closed.

use super::{
    SessionDeps,
    shared::{ROUNDS, contended, lasting, relation_to},
};
use crate::{
    DeactivateError,
    events::Announcement,
    model::{Account, AccountStatus, EndReason},
    ports::{AccountChange, EndSessions},
};
use amrutam_kernel::{AccountId, Action, Context, Outcome, Relation, Sensitive};

/// Which account, and how sure.
#[derive(Debug, Clone)]
pub struct Deactivate {
    /// One's own, or by an admin anybody's.
    pub account: AccountId,
    /// The owner's password; not looked at when an admin closes another's.
    pub password: Option<Sensitive<String>>,
}

/// Closes an account: its sessions end and nobody logs in. What it did stays.
pub async fn deactivate(deps: SessionDeps<'_>, context: &Context, command: Deactivate) -> Result<(), DeactivateError> {
    let (core, action) = (deps.core, Action::AccountDeactivate);
    let relation = relation_to(context, command.account);
    core.permit(context, action, relation, Some(command.account)).await?;
    for _ in 0..ROUNDS {
        let account = core.accounts.by_id(command.account).await?.undisclosed().filter(Account::is_active);
        let account = core.named::<_, DeactivateError>(context, action.as_str(), command.account, account).await?;
        if relation == Relation::Own {
            let typed = command.password.clone().unwrap_or_default();
            if !core.hasher.verify(&typed, account.password_hash.as_ref()).await? {
                core.record_denial(context, action.as_str(), Some(account.id)).await?;
                return Err(DeactivateError::WrongPassword);
            }
        }
        let now = core.clock.now();
        let account = Account { status: AccountStatus::Deactivated, version: account.version + 1, ..account };
        let change = AccountChange {
            account: &account,
            spend: None,
            void_links: Some(now),
            end_sessions: Some(EndSessions { reason: EndReason::Deactivated, except: None, at: now }),
        };
        let (on_record, announced) = ((account.id, Outcome::Allowed), Some(Announcement::Deactivated));
        let effects = core.effects(context, now, action.as_str(), on_record, announced);
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
