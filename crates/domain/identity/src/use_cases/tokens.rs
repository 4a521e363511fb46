//! A session is opened, and tokens are made for it.

use super::SessionDeps;
use crate::{
    Account,
    model::{RefreshToken, Session, SessionLabel},
    ports::{AccessClaims, StoredRefresh},
};
use amrutam_kernel::{Actor, CommitError, Context, Outcome, PortError, Sensitive, SessionId, recorded};
use jiff::{SignedDuration, Timestamp};

/// 15 minutes (contract).
pub const ACCESS_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// What a signed-in program holds.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// To be sent as `Authorization: Bearer`.
    pub access_token: Sensitive<String>,
    /// What it says.
    pub claims: AccessClaims,
    /// Good for one new pair.
    pub refresh_token: Sensitive<String>,
}

impl SessionDeps<'_> {
    /// Opens a session and signs its first tokens. The log-in is on the record with it. Nothing when the account was closed
    /// or got another password since it was read.
    pub(super) async fn open_session(
        &self,
        context: &Context,
        account: &Account,
        second_factor_at: Option<Timestamp>,
        label: SessionLabel,
    ) -> Result<Option<Tokens>, PortError> {
        let core = self.core;
        let now = core.clock.now();
        let context = Context { actor: Actor::Account { id: account.id, role: account.role }, ..context.clone() };
        let id = SessionId::from_uuid(core.ids.uuid_v7(now));
        let session = Session::open(id, account.id, second_factor_at, label, now);
        let (refresh_token, stored) = self.refresh_token(id, 1, now)?;
        let (access_token, claims) = self.access_token(account, &session, now)?;
        let effects = core.effects(&context, now, "account.log_in", (account.id, Outcome::Allowed), None);
        match self.sessions.open(&session, &stored, account.password_set_at, &effects).await {
            Ok(()) => Ok(Some(Tokens { access_token, claims, refresh_token: refresh_token.into_text() })),
            Err(CommitError::Stale) => Ok(None),
            Err(error) => recorded(Err(error)).map(|()| None),
        }
    }

    pub(super) fn refresh_token(
        &self,
        session: SessionId,
        generation: u32,
        now: Timestamp,
    ) -> Result<(RefreshToken, StoredRefresh), PortError> {
        let mut secret = [0; 32];
        self.secrets.fill(&mut secret)?;
        let token = RefreshToken::new(session, generation, &secret);
        let stored = StoredRefresh { digest: token.digest(), generation, issued_at: now };
        Ok((token, stored))
    }

    pub(super) fn access_token(
        &self,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Result<(Sensitive<String>, AccessClaims), PortError> {
        let expires_at = now.checked_add(ACCESS_TOKEN_LIFETIME).unwrap_or(Timestamp::MAX).min(session.expires_at);
        let claims = AccessClaims {
            account: account.id,
            session: session.id,
            role: account.role,
            assurance: session.assurance(),
            issued_at: now,
            expires_at,
        };
        let token = self.issuer.issue_access(&claims, self.core.ids.uuid_v7(now))?;
        Ok((token, claims))
    }
}
