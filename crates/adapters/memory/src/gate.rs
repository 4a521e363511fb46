//! The gate with a cache in front, small.

use amrutam_identity::{
    model::SessionState,
    ports::{SessionGate, SessionNotices},
};
use amrutam_kernel::{PortError, SessionId};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// An answer older than this is asked for anew.
const FRESH: SignedDuration = SignedDuration::from_secs(15);

#[derive(Default)]
struct Cache {
    states: BTreeMap<SessionId, (SessionState, Timestamp)>,
    ended: BTreeSet<SessionId>,
}

/// Keeps answers of another gate for 15 seconds, unless it is told that they are over.
pub struct MemoryGate {
    inner: Arc<dyn SessionGate>,
    cache: Mutex<Cache>,
}

impl MemoryGate {
    /// In front of `inner`, which is the [`MemoryWorld`](crate::MemoryWorld).
    pub fn new(inner: Arc<dyn SessionGate>) -> Self {
        Self { inner, cache: Mutex::default() }
    }

    /// Loses everything, as a cache may.
    pub fn flush(&self) {
        *self.cache() = Cache::default();
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryGate").finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionGate for MemoryGate {
    async fn state(&self, session: SessionId, now: Timestamp) -> Result<Option<SessionState>, PortError> {
        {
            let cache = self.cache();
            let known = cache.states.get(&session).filter(|(_, at)| now.duration_since(*at) < FRESH);
            if let Some((state, _)) = known {
                return Ok(Some(SessionState { ended: state.ended || cache.ended.contains(&session), ..*state }));
            }
        }
        let state = self.inner.state(session, now).await?;
        let mut cache = self.cache();
        if let Some(state) = state {
            cache.states.insert(session, (state, now));
        }
        Ok(state.map(|state| SessionState { ended: state.ended || cache.ended.contains(&session), ..state }))
    }
}

#[async_trait]
impl SessionNotices for MemoryGate {
    async fn ended(&self, sessions: &[SessionId]) {
        self.cache().ended.extend(sessions);
    }

    async fn changed(&self, sessions: &[SessionId]) {
        let mut cache = self.cache();
        for session in sessions {
            cache.states.remove(session);
        }
    }
}
