//! A person's data ends with their keys.

use super::{Deps, permit::Object};
use crate::error::ShredError;
use amrutam_kernel::{AccountId, Action, Context};

/// Destroys every data key of that person, and says how many there were. From then on nothing of theirs opens, here or from any
/// backup of what was sealed; other processes forget the keys they have at hand within seconds, and within five minutes also when they
/// can't ask.
pub async fn shred(deps: Deps<'_>, context: &Context, owner: AccountId) -> Result<u64, ShredError> {
    let object = Object { kind: "data_key", id: &owner.to_string(), owner: Some(owner) };
    deps.permit::<ShredError>(context, Action::KeysDestroy, object).await?;
    Ok(deps.store.destroy(owner, deps.clock.now()).await?)
}
