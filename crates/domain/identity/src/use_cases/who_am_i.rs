//! The caller's own account.

use super::{
    Deps,
    shared::{ROUNDS, contended, lasting},
};
use crate::{Account, AccountError, Profile, ports::AccountChange};
use amrutam_kernel::{Action, CommitError, Context, Outcome};

/// Reads the caller's own account; the read is on the record.
pub async fn who_am_i(deps: Deps<'_>, context: &Context) -> Result<Account, AccountError> {
    let caller = deps.permit_own(context, Action::ProfileRead).await?;
    let name = Action::ProfileRead.as_str();
    let found = deps.accounts.by_id(caller.account).await?.some();
    let account = deps.named::<_, AccountError>(context, name, caller.account, found).await?;
    Ok(deps.shown(context, name, caller.account, account).await?)
}

/// Changes the caller's own profile, when it still is at a version they saw, or whatever it is at. `change` gets the stored
/// profile and returns the new one.
pub async fn update_profile(
    deps: Deps<'_>,
    context: &Context,
    if_version: Option<&[i64]>,
    change: impl Fn(Profile) -> Profile + Send + Sync,
) -> Result<Account, AccountError> {
    let caller = deps.permit_own(context, Action::ProfileUpdate).await?;
    for _ in 0..ROUNDS {
        let found = deps.accounts.by_id(caller.account).await?.undisclosed().filter(Account::is_active);
        let name = Action::ProfileUpdate.as_str();
        let stored = deps.named::<_, AccountError>(context, name, caller.account, found).await?;
        if if_version.is_some_and(|seen| !seen.contains(&stored.version)) {
            return Err(AccountError::Precondition);
        }
        let account =
            Account { profile: change(stored.profile.clone()), version: stored.version.saturating_add(1), ..stored };
        let now = deps.clock.now();
        let on_record = (account.id, Outcome::Allowed);
        let effects = deps.effects(context, now, Action::ProfileUpdate.as_str(), on_record, None);
        let update = AccountChange { account: &account, spend: None, void_links: None, end_sessions: None };
        match deps.accounts.update(update, &effects).await {
            Ok(_) => return Ok(account),
            Err(CommitError::Stale | CommitError::Busy) if if_version.is_some() => {
                return Err(AccountError::Precondition);
            }
            Err(error) => lasting(error)?,
        }
    }
    Err(contended().into())
}
