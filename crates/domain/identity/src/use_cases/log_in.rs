//! A person proves who they are: the first step, and for most the only one.

use super::{SessionDeps, Tokens};
use crate::{
    Account, LogInError,
    model::{EmailAddress, SessionLabel},
    ports::MfaClaims,
};
use amrutam_kernel::{Actor, Context, Effects, Outcome, Sensitive};
use jiff::{SignedDuration, Timestamp};

/// The second step follows within this.
pub const MFA_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// What a person gives.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Nothing when what was typed is not an address at all: it must cost the same as an unknown one.
    pub email: Option<Sensitive<EmailAddress>>,
    /// The password as typed.
    pub password: Sensitive<String>,
    /// Which program.
    pub label: SessionLabel,
}

/// What a person gets.
#[derive(Debug, Clone)]
pub enum LoggedIn {
    /// They are in.
    In(Box<Tokens>),
    /// The password was right; now the second factor, with this token.
    SecondFactor {
        /// To be sent with the code.
        mfa_token: Sensitive<String>,
        /// What it says.
        claims: MfaClaims,
    },
}

/// Checks the password. Unknown or unverified address, closed account and wrong password take the same steps: one look-up,
/// one hash, one audit entry.
pub async fn log_in(deps: SessionDeps<'_>, context: &Context, command: LogIn) -> Result<LoggedIn, LogInError> {
    let core = deps.core;
    let account = match &command.email {
        Some(email) => core.accounts.by_email(email.expose()).await?.undisclosed(),
        None => None,
    };
    let hash = account.as_ref().and_then(|account| account.password_hash.as_ref());
    let matches = core.hasher.verify(&command.password, hash).await?;
    let Some(account) = account.as_ref().filter(|account| matches && deps.rules.lets_in(account)) else {
        return denied(deps, context, account.as_ref()).await;
    };
    if deps.factors.factors(account.id).await?.confirmed.is_none() {
        return match deps.open_session(context, account, None, command.label).await? {
            Some(tokens) => Ok(LoggedIn::In(Box::new(tokens))),
            None => denied(deps, context, Some(account)).await,
        };
    }
    first_step(deps, context, account).await
}

async fn denied(deps: SessionDeps<'_>, context: &Context, account: Option<&Account>) -> Result<LoggedIn, LogInError> {
    deps.core.record_denial(context, "account.log_in", account.map(|account| account.id)).await?;
    Err(LogInError::InvalidCredentials)
}

async fn first_step(deps: SessionDeps<'_>, context: &Context, account: &Account) -> Result<LoggedIn, LogInError> {
    let core = deps.core;
    let now = core.clock.now();
    let context = Context { actor: Actor::Account { id: account.id, role: account.role }, ..context.clone() };
    let entry = core.audit(&context, now, "account.log_in_first_step", Some(account.id), Outcome::Allowed);
    core.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await?;
    let expires_at = now.checked_add(MFA_TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
    let claims = MfaClaims { account: account.id, issued_at: now, expires_at };
    let mfa_token = deps.issuer.issue_mfa(&claims, core.ids.uuid_v7(now))?;
    Ok(LoggedIn::SecondFactor { mfa_token, claims })
}
