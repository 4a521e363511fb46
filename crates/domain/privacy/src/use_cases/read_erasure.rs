//! What was erased of somebody, what is kept, until when and why.

use super::{
    ErasureDeps,
    shared::{Told, alone},
};
use crate::{ErasureReadError, model::Erasure};
use amrutam_kernel::{AccountId, Action, Context, Outcome, Relation};

/// An erasure with its report; the look is on the record before it is shown.
pub async fn read_erasure(
    deps: ErasureDeps<'_>,
    context: &Context,
    account: AccountId,
) -> Result<Erasure, ErasureReadError> {
    let (action, now) = (Action::ErasureRead, deps.clock.now());
    let told = Told { name: action.as_str(), kind: "erasure", id: account.to_string(), about: Some(account), context };
    let decided = deps.policy.decide(context, action, Relation::None, now);
    let outcome = if decided.is_ok() { Outcome::Allowed } else { Outcome::Denied };
    deps.store.put_on_record(&alone(told.entry(deps.ids, outcome, now))).await?;
    decided?;
    deps.store.find(account).await?.ok_or(ErasureReadError::NotFound)
}
