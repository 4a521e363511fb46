//! A second factor is set up, replaced or removed.

use super::{
    RecoveryCodes, SessionDeps, TypedFactor,
    shared::{Caller, contended, lasting, relation_to},
};
use crate::{
    Account, FactorError, PermitError,
    events::Announcement,
    model::{Factors, PendingFactor, TotpSecret, matching_step},
    ports::{Confirmed, Enrolment},
};
use amrutam_kernel::{
    AccountId, Action, CommitError, Context, Denial, Outcome, PortError, SecondFactor, Sensitive, SignIn,
};
use jiff::SignedDuration;

/// The first code is shown within this, or one begins again.
pub const PENDING_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// Makes a secret for the authenticator. Nothing changes for the account until a code of it is shown.
pub async fn begin_totp(deps: SessionDeps<'_>, context: &Context) -> Result<Enrolment, FactorError> {
    let core = deps.core;
    let (caller, _) = permit_setting_up(deps, context).await?;
    let account =
        core.accounts.by_id(caller.account).await?.undisclosed().filter(Account::is_active).ok_or(Denial::Hidden)?;
    let mut bytes = [0; TotpSecret::BYTES];
    deps.secrets.fill(&mut bytes)?;
    let now = core.clock.now();
    let pending = PendingFactor { secret: TotpSecret::from_bytes(bytes), begun_at: now };
    let enrolment = deps.totp.enrolment(&pending.secret, account.email.expose())?;
    let effects = core.effects(context, now, "factor.begin", (account.id, Outcome::Allowed), None);
    deps.factors.begin(account.id, &pending, &effects).await?;
    Ok(enrolment)
}

/// The first code brings the factor into force and gives the recovery codes.
pub async fn confirm_totp(
    deps: SessionDeps<'_>,
    context: &Context,
    code: &Sensitive<String>,
) -> Result<RecoveryCodes, FactorError> {
    let core = deps.core;
    let (caller, factors) = permit_setting_up(deps, context).await?;
    let now = core.clock.now();
    let in_time = |pending: &PendingFactor| now.duration_since(pending.begun_at) < PENDING_LIFETIME;
    let pending = factors.pending.filter(in_time).ok_or(FactorError::NotBegun)?;
    let Some(step) = matching_step(deps.totp, &pending.secret, code, None, now) else {
        core.record_denial(context, "factor.confirm", Some(caller.account)).await?;
        return Err(FactorError::InvalidCode);
    };
    let (codes, digests) = deps.recovery_codes()?;
    let session = caller.sign_in.session;
    let confirmed = Confirmed { begun_at: pending.begun_at, step, at: now, codes: &digests, session };
    let (on_record, announced) = ((caller.account, Outcome::Allowed), Some(Announcement::SecondFactorChanged));
    let effects = core.effects(context, now, "factor.confirm", on_record, announced);
    match deps.factors.confirm(caller.account, confirmed, &effects).await {
        Ok(()) => {}
        Err(CommitError::Stale) => return Err(FactorError::NotBegun),
        Err(error) => return Err(given_up(error)?.into()),
    }
    tell_sessions(deps, caller.account).await;
    Ok(codes)
}

/// What a person gives.
#[derive(Debug, Clone)]
pub struct RemoveTotp {
    /// Their password.
    pub password: Sensitive<String>,
    /// And the factor itself, which is why no other one is asked for.
    pub factor: TypedFactor,
}

/// Removes the second factor and its recovery codes.
pub async fn remove_totp(deps: SessionDeps<'_>, context: &Context, command: RemoveTotp) -> Result<(), FactorError> {
    let (core, action) = (deps.core, Action::FactorRemove);
    let caller = core.permit_own(context, action).await?;
    let account =
        core.accounts.by_id(caller.account).await?.undisclosed().filter(Account::is_active).ok_or(Denial::Hidden)?;
    if !core.hasher.verify(&command.password, account.password_hash.as_ref()).await? {
        core.record_denial(context, action.as_str(), Some(account.id)).await?;
        return Err(FactorError::WrongPassword);
    }
    let factors = deps.factors.factors(account.id).await?;
    let confirmed = factors.confirmed.as_ref().ok_or(FactorError::NotEnrolled)?;
    deps.prove(context, account.id, (&factors, confirmed), &command.factor).await?;
    remove(deps, context, account.id, action).await
}

/// Removes the second factor of somebody who has lost it, recovery codes and all: by whoever looks after accounts. The owner
/// is told, and the sessions stay.
pub async fn end_factor(deps: SessionDeps<'_>, context: &Context, account: AccountId) -> Result<(), FactorError> {
    let (core, action) = (deps.core, Action::FactorEnd);
    core.permit(context, action, relation_to(context, account), Some(account)).await?;
    let found = core.accounts.by_id(account).await?.undisclosed().filter(Account::is_active);
    core.named::<_, FactorError>(context, action.as_str(), account, found).await?;
    remove(deps, context, account, action).await
}

async fn remove(
    deps: SessionDeps<'_>,
    context: &Context,
    account: AccountId,
    action: Action,
) -> Result<(), FactorError> {
    let core = deps.core;
    let (on_record, announced) = ((account, Outcome::Allowed), Some(Announcement::SecondFactorChanged));
    let effects = core.effects(context, core.clock.now(), action.as_str(), on_record, announced);
    match deps.factors.remove(account, &effects).await {
        Ok(()) => {}
        Err(CommitError::Stale) => return Err(FactorError::NotEnrolled),
        Err(error) => return Err(given_up(error)?.into()),
    }
    tell_sessions(deps, account).await;
    Ok(())
}

/// Each of the account's sessions now has, or lacks, a factor. What is done is done: if they can't be told, it shows within
/// 15 seconds.
async fn tell_sessions(deps: SessionDeps<'_>, account: AccountId) {
    let Ok(live) = deps.sessions.live(account, deps.core.clock.now()).await else { return };
    let ids: Vec<_> = live.iter().map(|session| session.id).collect();
    deps.notices.changed(&ids).await;
}

/// Whoever has a factor must have shown it just now before another one takes its place.
async fn permit_setting_up(deps: SessionDeps<'_>, context: &Context) -> Result<(Caller, Factors), FactorError> {
    let caller = deps.core.permit_own(context, Action::FactorEnrol).await?;
    let factors = deps.factors.factors(caller.account).await?;
    if factors.confirmed.is_some() {
        permit_changing(deps, context, caller).await?;
    }
    Ok((caller, factors))
}

/// For an account that has a factor. The gate may not know yet of one that was set up a moment ago in another session.
pub(super) async fn permit_changing(
    deps: SessionDeps<'_>,
    context: &Context,
    caller: Caller,
) -> Result<(), PermitError> {
    let sign_in = SignIn { second_factor: SecondFactor::Enrolled, ..caller.sign_in };
    deps.core.permit_own(&Context { sign_in: Some(sign_in), ..context.clone() }, Action::FactorChange).await?;
    Ok(())
}

fn given_up(error: CommitError) -> Result<PortError, PortError> {
    lasting(error).map(|()| contended())
}
