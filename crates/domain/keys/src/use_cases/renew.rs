//! A new version of a person's key, before its time.

use super::{Deps, permit::Object};
use crate::error::ShredError;
use amrutam_kernel::{AccountId, Action, Context};

/// Makes the next sealing for that person make a new version of their key; what the ones before have sealed opens as it did.
/// Processes that have taken some seals of the one before use those up, for five minutes at most. Says whether there was a key.
pub async fn renew(deps: Deps<'_>, context: &Context, owner: AccountId) -> Result<bool, ShredError> {
    let object = Object { kind: "data_key", id: &owner.to_string(), owner: Some(owner) };
    deps.permit::<ShredError>(context, Action::KeysManage, object).await?;
    Ok(deps.store.renew(owner).await?)
}
