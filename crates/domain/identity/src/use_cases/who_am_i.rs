//! The caller's own account.

use super::Deps;
use crate::{Account, WhoAmIError};
use amrutam_kernel::{Context, Effects, Outcome};

/// Reads the caller's own account; the read is on the record.
pub async fn who_am_i(deps: Deps<'_>, context: &Context) -> Result<Account, WhoAmIError> {
    let id = context.actor.account().ok_or(WhoAmIError::NotFound)?;
    let account = deps.accounts.by_id(id).await?.ok_or(WhoAmIError::NotFound)?;
    let entry = deps.audit(context, deps.clock.now(), "account.read", Some(id), Outcome::Allowed);
    deps.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await?;
    Ok(account)
}
