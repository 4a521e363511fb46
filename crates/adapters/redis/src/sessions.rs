//! What requests need to know of a session, for a few seconds.

use crate::{Cache, cache::NoAnswer};
use amrutam_kernel::SessionId;
use futures::future::BoxFuture;
use metrics::{counter, describe_counter};
use redis::{Cmd, FromRedisValue, RedisResult, aio::MultiplexedConnection};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// The longest a state is taken for true without looking.
const LONGEST: Duration = Duration::from_secs(15);
/// Longer than any access token that names the session lives, with its leeway.
const REVOKED_FOR: Duration = Duration::from_secs(20 * 60);
/// Longer than a reader takes from the database to here.
const FORGOTTEN_FOR: Duration = Duration::from_secs(2);

const REVOKED: &[u8] = b"revoked";
/// Holds the place, so that a reader who has looked before the change can't put the old state there.
const FORGOTTEN: &[u8] = b"forgotten";
const FORGET: &str = "
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= ARGV[1] then redis.call('SET', key, ARGV[2], 'PX', ARGV[3]) end
end";
/// What stands before a state.
const STATE: u8 = b'=';

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachedSession<T> {
    /// How it stood at most 15 seconds ago, and nobody has noted a change since.
    Known(T),
    /// It has ended.
    Revoked,
    /// Look where sessions are kept: nothing is here, or Redis is away.
    Unknown,
}

/// Sessions in Redis. Nothing here is the only place where something is known: losing it all, and an error, mean
/// [`CachedSession::Unknown`].
pub struct SessionCache {
    cache: Option<Cache>,
}

impl SessionCache {
    /// Over this Redis; without one nothing is ever known.
    pub fn new(cache: Option<Cache>) -> Self {
        describe_counter!(
            "amrutam_session_notices_lost_total",
            "Ends and changes of sessions that could not be noted; they show within 15 seconds"
        );
        Self { cache }
    }

    /// What is known.
    pub async fn get<T: DeserializeOwned>(&self, session: SessionId) -> CachedSession<T> {
        let Some(cache) = &self.cache else { return CachedSession::Unknown };
        let mut get = redis::cmd("GET");
        get.arg(key(cache, session));
        let found = cache.call(run::<Option<Vec<u8>>>(get)).await;
        match found.ok().flatten().as_deref() {
            Some(REVOKED) => CachedSession::Revoked,
            Some([STATE, state @ ..]) => {
                serde_json::from_slice(state).map_or(CachedSession::Unknown, CachedSession::Known)
            }
            Some(_) | None => CachedSession::Unknown,
        }
    }

    /// Keeps a state that was read where sessions are kept, for `ttl` but never more than 15 seconds. It does not cover what was noted
    /// since it was read.
    pub async fn remember<T: Serialize>(&self, session: SessionId, state: &T, ttl: Duration) {
        let Some(cache) = &self.cache else { return };
        let mut value = vec![STATE];
        let ttl = millis(ttl.min(LONGEST));
        if ttl == 0 || serde_json::to_writer(&mut value, state).is_err() {
            return;
        }
        let mut set = redis::cmd("SET");
        set.arg(key(cache, session)).arg(value).arg("NX").arg("PX").arg(ttl);
        // If it fails, the next request looks for itself.
        let _ = cache.call(run::<()>(set)).await;
    }

    /// Notes, after their end was committed, that these sessions have ended. `false` when it could not be noted: what was
    /// remembered of them then counts for up to 15 seconds.
    pub async fn revoke(&self, sessions: &[SessionId]) -> bool {
        let Some(cache) = self.to_tell(sessions) else { return true };
        let mut sets = redis::pipe();
        for session in sessions {
            sets.cmd("SET").arg(key(cache, *session)).arg(REVOKED).arg("PX").arg(millis(REVOKED_FOR));
        }
        let sets = Arc::new(sets);
        let set = move |mut at| {
            let sets = Arc::clone(&sets);
            async move { sets.query_async::<()>(&mut at).await }
        };
        let noted = cache.call(set).await;
        is_noted(noted, sessions)
    }

    /// Notes, after a change was committed, that what was remembered of these sessions is out of date. `false` as with
    /// [`SessionCache::revoke`].
    pub async fn forget(&self, sessions: &[SessionId]) -> bool {
        let Some(cache) = self.to_tell(sessions) else { return true };
        let mut forget = redis::cmd("EVAL");
        forget.arg(FORGET).arg(sessions.len());
        for session in sessions {
            forget.arg(key(cache, *session));
        }
        forget.arg(REVOKED).arg(FORGOTTEN).arg(millis(FORGOTTEN_FOR));
        let noted = cache.call(run::<()>(forget)).await;
        is_noted(noted, sessions)
    }

    /// Nothing when there is nothing to tell, or nobody: where there is no Redis, nothing was remembered.
    fn to_tell(&self, sessions: &[SessionId]) -> Option<&Cache> {
        self.cache.as_ref().filter(|_| !sessions.is_empty())
    }
}

fn is_noted(noted: Result<(), NoAnswer>, sessions: &[SessionId]) -> bool {
    if noted.is_err() {
        counter!("amrutam_session_notices_lost_total").increment(sessions.len() as u64);
        tracing::warn!(sessions = sessions.len(), "the end or change of sessions could not be noted in the cache");
    }
    noted.is_ok()
}

/// Runs a command at whichever connection it is given.
fn run<T: FromRedisValue>(command: Cmd) -> impl Fn(MultiplexedConnection) -> BoxFuture<'static, RedisResult<T>> + Send {
    let command = Arc::new(command);
    move |mut at| {
        let command = Arc::clone(&command);
        Box::pin(async move { command.query_async(&mut at).await })
    }
}

fn key(cache: &Cache, session: SessionId) -> String {
    cache.key("session", session)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
