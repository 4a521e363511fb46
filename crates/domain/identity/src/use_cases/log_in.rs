//! A person proves who they are and gets a token.

use super::Deps;
use crate::{
    LogInError,
    model::EmailAddress,
    ports::{AccessClaims, TokenIssuer},
};
use amrutam_kernel::{Actor, Context, Effects, Outcome, Sensitive, SessionId};
use jiff::SignedDuration;

/// 15 minutes (contract).
pub const ACCESS_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// What a person gives.
#[derive(Debug, Clone)]
pub struct LogIn {
    /// Nothing when what was typed is not an address at all: it must cost the same as an unknown one.
    pub email: Option<Sensitive<EmailAddress>>,
    /// The password as typed.
    pub password: Sensitive<String>,
}

/// What a person gets.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// To be sent as `Authorization: Bearer`.
    pub access_token: Sensitive<String>,
    /// What it says.
    pub claims: AccessClaims,
}

/// Logs in. Unknown address and wrong password take the same steps: one look-up, one hash, one audit entry.
pub async fn log_in(
    deps: Deps<'_>,
    tokens: &dyn TokenIssuer,
    context: &Context,
    command: LogIn,
) -> Result<LoggedIn, LogInError> {
    let account = match &command.email {
        Some(email) => deps.accounts.by_email(email.expose()).await?,
        None => None,
    };
    let matches = deps.hasher.verify(&command.password, account.as_ref().map(|a| &a.password_hash)).await?;
    let now = deps.clock.now();
    let outcome = if matches { Outcome::Allowed } else { Outcome::Denied };
    let actor = match &account {
        Some(account) if matches => Actor::Account { id: account.id, role: account.role },
        _ => Actor::Anonymous,
    };
    let context = Context { actor, ..context.clone() };
    let entry = deps.audit(&context, now, "account.log_in", account.as_ref().map(|a| a.id), outcome);
    deps.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await?;

    let account = account.filter(|_| matches).ok_or(LogInError::InvalidCredentials)?;
    let claims = AccessClaims {
        account: account.id,
        session: SessionId::from_uuid(deps.ids.uuid_v7(now)),
        role: account.role,
        issued_at: now,
        expires_at: now + ACCESS_TOKEN_LIFETIME,
    };
    let access_token = tokens.issue(&claims, deps.ids.uuid_v7(now))?;
    Ok(LoggedIn { access_token, claims })
}
