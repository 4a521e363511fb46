//! A person's data ends with their keys.

use super::{Deps, permit::Object};
use crate::{
    error::ShredError,
    ports::{Retention, Standing},
};
use amrutam_kernel::{AccountId, Action, Context};

fn object(owner: &str, account: AccountId) -> Object<'_> {
    Object { kind: "data_key", id: owner, owner: Some(account) }
}

/// Destroys every data key of that person, and says how many there were. From then on nothing of theirs opens, here or from any
/// backup of what was sealed; other processes forget the keys they have at hand within seconds, and within five minutes also when they
/// can't ask. Whoever calls it has found that nothing keeps them: a person asks by [`shred_unless_kept`].
pub async fn shred(deps: Deps<'_>, context: &Context, owner: AccountId) -> Result<u64, ShredError> {
    deps.permit::<ShredError>(context, Action::KeysDestroy, object(&owner.to_string(), owner)).await?;
    Ok(deps.store.destroy(owner, deps.clock.now()).await?)
}

/// The same at an operator's word: never while a hold is in force, and before its time only when that is `meant`.
pub async fn shred_unless_kept(
    deps: Deps<'_>,
    retention: &dyn Retention,
    context: &Context,
    owner: AccountId,
    meant: bool,
) -> Result<u64, ShredError> {
    let now = deps.clock.now();
    let refusal = match retention.standing(owner, now).await? {
        Standing::OnHold => Some(ShredError::OnHold),
        Standing::Kept if !meant => Some(ShredError::NotDue),
        Standing::Kept | Standing::Due => None,
    };
    deps.permit_unless(context, Action::KeysDestroy, object(&owner.to_string(), owner), refusal).await?;
    Ok(deps.store.destroy(owner, now).await?)
}
