//! How sessions stand, asked by every request: from the cache while it is fresh, else from where sessions are kept.

use crate::{CachedSession, SessionCache};
use amrutam_identity::{
    model::SessionState,
    ports::{SessionGate, SessionNotices},
};
use amrutam_kernel::{AccountId, PortError, SessionId};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What an end shows within, should its notice get lost.
const REMEMBERED: Duration = Duration::from_secs(15);

/// A gate with the cache before it.
#[derive(Clone)]
pub struct CachedGate {
    cache: Arc<SessionCache>,
    inner: Arc<dyn SessionGate>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    account: AccountId,
    role: String,
    ended: bool,
    second_factor_at: Option<Timestamp>,
    enrolled: bool,
}

impl CachedGate {
    /// Before `inner`.
    pub fn new(cache: SessionCache, inner: Arc<dyn SessionGate>) -> Self {
        Self { cache: Arc::new(cache), inner }
    }
}

impl Kept {
    fn of(state: &SessionState) -> Self {
        let SessionState { account, role, ended, second_factor_at, enrolled } = *state;
        Self { account, role: role.as_str().to_owned(), ended, second_factor_at, enrolled }
    }

    fn state(self) -> Option<SessionState> {
        let Self { account, role, ended, second_factor_at, enrolled } = self;
        Some(SessionState { account, role: role.parse().ok()?, ended, second_factor_at, enrolled })
    }
}

#[async_trait]
impl SessionGate for CachedGate {
    async fn state(&self, session: SessionId, now: Timestamp) -> Result<Option<SessionState>, PortError> {
        let known = self.cache.get::<Kept>(session).await;
        let revoked = matches!(known, CachedSession::Revoked);
        if let CachedSession::Known(kept) = known
            && let Some(state) = kept.state()
        {
            return Ok(Some(state));
        }
        let state = self.inner.state(session, now).await?;
        // The notice follows the commit, so a store that still says otherwise is behind.
        let state = state.map(|state| SessionState { ended: state.ended || revoked, ..state });
        if let Some(state) = &state {
            self.cache.remember(session, &Kept::of(state), REMEMBERED).await;
        }
        Ok(state)
    }
}

#[async_trait]
impl SessionNotices for CachedGate {
    async fn ended(&self, sessions: &[SessionId]) {
        // What could not be noted is counted there.
        self.cache.revoke(sessions).await;
    }

    async fn changed(&self, sessions: &[SessionId]) {
        self.cache.forget(sessions).await;
    }
}
