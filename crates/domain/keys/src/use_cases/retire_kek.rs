//! A key-encryption key that wraps nothing any more.

use super::{Deps, permit::Object};
use crate::{
    error::RetireError,
    model::KekId,
    ports::{KeyWrapper, Retired},
};
use amrutam_kernel::{Action, Context};

/// Retires it, unless it wraps anything: only then may it be removed where it is kept. A process with old keys can't wrap under it
/// after this.
pub async fn retire_kek(
    deps: Deps<'_>,
    wrapper: &dyn KeyWrapper,
    context: &Context,
    kek: &KekId,
) -> Result<(), RetireError> {
    let object = Object { kind: "key_encryption_key", id: kek.as_str(), owner: None };
    deps.permit::<RetireError>(context, Action::KeysManage, object).await?;
    if wrapper.current()? == *kek {
        return Err(RetireError::InUse(kek.clone()));
    }
    match deps.store.retire(kek, deps.clock.now()).await? {
        Retired::Done => Ok(()),
        Retired::Wraps(keys) => Err(RetireError::Wraps { kek: kek.clone(), keys }),
    }
}
