//! The gate's contract, with one Redis between two processes; and without it.

use crate::{
    cache, cache_within,
    support::{LONG, RedisNode},
};
use amrutam_identity::{
    contract::{CachedGate as Pair, GateMaker},
    ports::{SessionGate, SessionNotices},
};
use amrutam_redis::{CachedGate, CachedSession, SessionCache};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// The node lives as long as the gates.
struct OneRedis(RedisNode);

fn pair(gate: CachedGate) -> Pair {
    Pair { gate: Arc::new(gate.clone()), notices: Arc::new(gate) }
}

#[async_trait]
impl GateMaker for OneRedis {
    async fn two(&self, inner: Arc<dyn SessionGate>) -> [Pair; 2] {
        let gate = async || CachedGate::new(SessionCache::new(Some(cache(&self.0).await)), inner.clone());
        [pair(gate().await), pair(gate().await)]
    }

    fn now(&self) -> Timestamp {
        // Nothing here goes by the clock.
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

amrutam_identity::cached_gate_contract!(async { OneRedis(RedisNode::start().await) });

struct Always;

#[async_trait]
impl SessionGate for Always {
    async fn state(
        &self,
        _: amrutam_kernel::SessionId,
        _: Timestamp,
    ) -> Result<Option<amrutam_identity::model::SessionState>, amrutam_kernel::PortError> {
        Ok(None)
    }
}

#[tokio::test]
async fn without_redis_the_store_is_asked() {
    let gate = CachedGate::new(SessionCache::new(None), Arc::new(Always));
    let session = amrutam_kernel::SessionId::from_uuid(uuid::Uuid::nil());
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    assert_eq!(gate.state(session, now).await.unwrap(), None);
    gate.ended(&[session]).await;
}

/// Another process may go by what it remembers for 15 seconds, so it matters that it is told now.
#[tokio::test]
async fn who_lost_sight_of_redis_for_a_moment_tells_of_an_end_before_answering() {
    let node = RedisNode::start().await;
    let [here, there] =
        [cache_within(&node, Duration::from_millis(100)).await, cache_within(&node, Duration::from_secs(1)).await]
            .map(Some);
    let gate = CachedGate::new(SessionCache::new(here.clone()), Arc::new(Always));
    let (here, there) = (SessionCache::new(here), SessionCache::new(there));
    let session = amrutam_kernel::SessionId::from_uuid(uuid::Uuid::nil());
    there.remember(session, &"as it was", LONG).await;
    node.stop();
    assert_eq!(here.get::<String>(session).await, CachedSession::Unknown);
    node.go_on();
    gate.ended(&[session]).await;
    assert_eq!(there.get::<String>(session).await, CachedSession::Revoked);
}
