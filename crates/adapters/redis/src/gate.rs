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
use tokio::time::{Instant, sleep};

/// What an end shows within, should its notice get lost.
const REMEMBERED: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(500);

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
        match self.cache.get::<Kept>(session).await {
            // The notice follows the commit: nobody has to be asked.
            CachedSession::Revoked => return Ok(None),
            CachedSession::Known(kept) => {
                if let Some(state) = kept.state() {
                    return Ok(Some(state));
                }
            }
            CachedSession::Unknown => {}
        }
        let state = self.inner.state(session, now).await?;
        if let Some(state) = &state {
            self.cache.remember(session, &Kept::of(state), REMEMBERED).await;
        }
        Ok(state)
    }
}

#[async_trait]
impl SessionNotices for CachedGate {
    async fn ended(&self, sessions: &[SessionId]) {
        if !self.cache.revoke(sessions).await {
            let (cache, sessions) = (Arc::clone(&self.cache), sessions.to_vec());
            tokio::spawn(async move { revoke_later(&cache, &sessions).await });
        }
    }

    async fn changed(&self, sessions: &[SessionId]) {
        self.cache.forget(sessions).await;
    }
}

/// As long as another process may go by what was remembered before the end.
async fn revoke_later(cache: &SessionCache, sessions: &[SessionId]) {
    let until = Instant::now() + REMEMBERED;
    while Instant::now() < until {
        sleep(RETRY).await;
        if cache.revoke(sessions).await {
            return;
        }
    }
}
