//! The second step of a log-in.

use super::{SessionDeps, Tokens, TypedFactor};
use crate::{Account, SecondFactorError, model::SessionLabel, ports::MfaClaims};
use amrutam_kernel::{Context, Sensitive};

/// What a person gives.
#[derive(Debug, Clone)]
pub struct SecondStep {
    /// From the first step.
    pub mfa_token: Sensitive<String>,
    /// The code.
    pub factor: TypedFactor,
    /// Which program.
    pub label: SessionLabel,
}

/// Takes the code and opens the session.
pub async fn second_factor(
    deps: SessionDeps<'_>,
    context: &Context,
    command: SecondStep,
) -> Result<Tokens, SecondFactorError> {
    let core = deps.core;
    let claims = deps.verifier.verify_mfa(command.mfa_token.expose(), core.clock.now());
    let claims = claims.map_err(|_| SecondFactorError::InvalidMfaToken)?;
    let account =
        core.accounts.by_id(claims.account).await?.undisclosed().filter(|account| still_stands(account, &claims));
    let Some(account) = account else {
        core.record_denial(context, "account.log_in", Some(claims.account)).await?;
        return Err(SecondFactorError::InvalidMfaToken);
    };
    let factors = deps.factors.factors(account.id).await?;
    let confirmed = factors.confirmed.as_ref().ok_or(SecondFactorError::InvalidMfaToken)?;
    deps.prove(context, account.id, (&factors, confirmed), &command.factor).await?;
    let tokens = deps.open_session(context, &account, Some(core.clock.now()), command.label).await?;
    tokens.ok_or(SecondFactorError::InvalidMfaToken)
}

/// The password that was right is still the password. Tokens carry whole seconds.
fn still_stands(account: &Account, claims: &MfaClaims) -> bool {
    let set_before =
        |claims: &MfaClaims| account.password_set_at.is_some_and(|set| set.as_second() <= claims.issued_at.as_second());
    account.is_active() && set_before(claims)
}
