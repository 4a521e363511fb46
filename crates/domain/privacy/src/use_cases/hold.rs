//! A court or a claim keeps a record.

use super::{
    ErasureDeps,
    shared::{Told, alone},
};
use crate::{
    HoldError,
    model::{HoldReference, LegalHold},
    ports::HoldOutcome,
};
use amrutam_kernel::{AccountId, Action, Context, Effects, Outcome, Relation, failed_on_record};
use jiff::Timestamp;

/// Keeps that person's record from being destroyed until the hold is lifted, whether they are erased or will be. In force already:
/// nothing changes.
pub async fn place_hold(
    deps: ErasureDeps<'_>,
    context: &Context,
    account: AccountId,
    reference: HoldReference,
) -> Result<(), HoldError> {
    let now = deps.clock.now();
    let effects = permitted(deps, context, "record.hold", account, now).await?;
    let hold = LegalHold { account, reference, placed_at: now, lifted_at: None };
    let done = match deps.store.place_hold(&hold, &effects).await? {
        HoldOutcome::Done => Ok(()),
        HoldOutcome::Unknown => Err(HoldError::UnknownAccount),
        HoldOutcome::TooLate => Err(HoldError::TooLate),
    };
    failed_on_record(done, |_| true, || failed(deps, context, "record.hold", account, now)).await
}

/// Lifts it. What is due then is destroyed at the worker's next look.
pub async fn lift_hold(
    deps: ErasureDeps<'_>,
    context: &Context,
    account: AccountId,
    reference: &HoldReference,
) -> Result<(), HoldError> {
    let now = deps.clock.now();
    let effects = permitted(deps, context, "record.lift_hold", account, now).await?;
    let done = match deps.store.lift_hold(account, reference, now, &effects).await? {
        HoldOutcome::Done => Ok(()),
        HoldOutcome::Unknown | HoldOutcome::TooLate => Err(HoldError::UnknownHold),
    };
    failed_on_record(done, |_| true, || failed(deps, context, "record.lift_hold", account, now)).await
}

async fn failed(
    deps: ErasureDeps<'_>,
    context: &Context,
    name: &'static str,
    account: AccountId,
    now: Timestamp,
) -> Result<(), HoldError> {
    let told = Told { name, kind: "record", id: account.to_string(), about: Some(account), context };
    Ok(deps.store.put_on_record(&alone(told.entry(deps.ids, Outcome::Failed, now))).await?)
}

async fn permitted(
    deps: ErasureDeps<'_>,
    context: &Context,
    name: &'static str,
    account: AccountId,
    now: Timestamp,
) -> Result<Effects, HoldError> {
    let told = || Told { name, kind: "record", id: account.to_string(), about: Some(account), context };
    if let Err(denial) = deps.policy.decide(context, Action::RecordHold, Relation::None, now) {
        deps.store.put_on_record(&alone(told().entry(deps.ids, Outcome::Denied, now))).await?;
        return Err(denial.into());
    }
    Ok(alone(told().entry(deps.ids, Outcome::Allowed, now)))
}
