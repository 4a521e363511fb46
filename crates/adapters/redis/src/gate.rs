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
use tokio::time::{Instant, sleep, timeout};

/// What an end shows within, should its notice get lost.
const REMEMBERED: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(250);
/// A breaker that one slow answer has opened is closed again by then; who logs out waits no longer.
const PATIENCE: Duration = Duration::from_secs(1);

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
        self.tell(Notice::Ended, sessions).await;
    }

    async fn changed(&self, sessions: &[SessionId]) {
        self.tell(Notice::Changed, sessions).await;
    }
}

#[derive(Debug, Clone, Copy)]
enum Notice {
    Ended,
    Changed,
}

impl Notice {
    async fn noted(self, cache: &SessionCache, sessions: &[SessionId]) -> bool {
        match self {
            Self::Ended => cache.revoke(sessions).await,
            Self::Changed => cache.forget(sessions).await,
        }
    }
}

impl CachedGate {
    /// Waits a little for a Redis that only this process has lost sight of: others may go by what they remember. When that is
    /// in vain it is tried again behind the answer, as long as anybody may.
    async fn tell(&self, notice: Notice, sessions: &[SessionId]) {
        let told = async {
            while !notice.noted(&self.cache, sessions).await {
                sleep(RETRY).await;
            }
        };
        if timeout(PATIENCE, told).await.is_err() {
            let (cache, sessions) = (Arc::clone(&self.cache), sessions.to_vec());
            tokio::spawn(async move { tell_later(notice, &cache, &sessions).await });
        }
    }
}

/// As long as another process may go by what was remembered before.
async fn tell_later(notice: Notice, cache: &SessionCache, sessions: &[SessionId]) {
    let until = Instant::now() + REMEMBERED;
    while Instant::now() < until {
        if notice.noted(cache, sessions).await {
            return;
        }
        sleep(RETRY).await;
    }
}
