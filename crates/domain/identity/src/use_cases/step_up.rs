//! A second factor is shown again before something grave.

use super::{SessionDeps, TypedFactor};
use crate::StepUpError;
use amrutam_kernel::{Action, Context, Outcome};

/// Notes in the caller's session that the second factor has just been shown.
pub async fn step_up(deps: SessionDeps<'_>, context: &Context, factor: &TypedFactor) -> Result<(), StepUpError> {
    let core = deps.core;
    let caller = core.permit_own(context, Action::StepUp).await?;
    let factors = deps.factors.factors(caller.account).await?;
    let confirmed = factors.confirmed.as_ref().ok_or(StepUpError::NotEnrolled)?;
    deps.prove(context, caller.account, (&factors, confirmed), factor).await?;
    let now = core.clock.now();
    let on_record = (caller.account, Outcome::Allowed);
    let effects = core.effects(context, now, Action::StepUp.as_str(), on_record, None);
    deps.sessions.step_up(caller.sign_in.session, now, &effects).await?;
    deps.notices.changed(&[caller.sign_in.session]).await;
    Ok(())
}
