//! A gate with a cache in front of another.

use super::{id, random};
use crate::{
    model::SessionState,
    ports::{SessionGate, SessionNotices},
};
use amrutam_kernel::{AccountId, Dependency, PortError, Role, SessionId};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// One process's gate, and what it tells the others.
#[derive(Clone)]
pub struct CachedGate {
    /// Under test.
    pub gate: Arc<dyn SessionGate>,
    /// Under test.
    pub notices: Arc<dyn SessionNotices>,
}

/// Makes gates of several processes with one cache.
#[async_trait]
pub trait GateMaker: Send + Sync {
    /// Two processes' gates in front of `inner`, with one cache between them; a cache of its own per call.
    async fn two(&self, inner: Arc<dyn SessionGate>) -> [CachedGate; 2];
    /// Now, by the clock that the cache goes by.
    fn now(&self) -> Timestamp;
}

/// What the gate asks: states as they are set here, and how often they were asked for.
#[derive(Default)]
struct Origin(Mutex<(HashMap<SessionId, SessionState>, usize, bool)>);

impl Origin {
    fn set(&self, session: SessionId, state: SessionState) {
        self.0.lock().unwrap().0.insert(session, state);
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

#[async_trait]
impl SessionGate for Origin {
    async fn state(&self, session: SessionId, _: Timestamp) -> Result<Option<SessionState>, PortError> {
        let mut all = self.0.lock().unwrap();
        all.1 += 1;
        if all.2 { Err(PortError::unavailable(Dependency::Database, "away")) } else { Ok(all.0.get(&session).copied()) }
    }
}

struct Stage {
    origin: Arc<Origin>,
    gates: [CachedGate; 2],
    session: SessionId,
    state: SessionState,
    now: Timestamp,
}

async fn stage(maker: &dyn GateMaker) -> Stage {
    let (origin, now) = (Arc::new(Origin::default()), maker.now());
    let account = AccountId::from_uuid(Uuid::from_u64_pair(random(), random()));
    let second_factor_at = Some(now);
    let state = SessionState { account, role: Role::Doctor, ended: false, second_factor_at, enrolled: true };
    let session = SessionId::from_uuid(id(now));
    origin.set(session, state);
    Stage { gates: maker.two(origin.clone()).await, origin, session, state, now }
}

impl Stage {
    async fn state(&self, gate: usize) -> Option<SessionState> {
        self.gates[gate].gate.state(self.session, self.now).await.unwrap()
    }
}

/// Every field of every kind of state, the first time and from the cache.
pub async fn a_cached_state_is_the_state(maker: &dyn GateMaker) {
    let stage = stage(maker).await;
    for role in Role::ALL {
        for (second_factor_at, enrolled) in [(None, false), (None, true), (Some(stage.now), true)] {
            let session = SessionId::from_uuid(id(stage.now));
            let state = SessionState { role, second_factor_at, enrolled, ..stage.state };
            stage.origin.set(session, state);
            for gate in [0, 0, 1] {
                let answer = stage.gates[gate].gate.state(session, stage.now).await.unwrap();
                assert_eq!(answer, Some(state));
            }
        }
    }
    let nobody = SessionId::from_uuid(id(stage.now));
    for gate in [0, 0, 1] {
        assert_eq!(stage.gates[gate].gate.state(nobody, stage.now).await.unwrap(), None);
    }
}

/// A busy session costs the store little.
pub async fn a_state_is_asked_for_once_in_a_while(maker: &dyn GateMaker) {
    let stage = stage(maker).await;
    for _ in 0..50 {
        assert_eq!(stage.state(0).await, Some(stage.state));
    }
    assert!(stage.origin.asked() <= 2, "asked {} times", stage.origin.asked());
}

/// However fresh the answer in the cache is, and even when the store still says that it lives: no gate lets it in again.
pub async fn an_end_is_known_to_every_process_at_once(maker: &dyn GateMaker) {
    let stage = stage(maker).await;
    for gate in [0, 1] {
        assert_eq!(stage.state(gate).await, Some(stage.state));
    }
    stage.gates[0].notices.ended(&[stage.session]).await;
    for gate in [0, 1, 0, 1] {
        assert!(stage.state(gate).await.is_none_or(|state| state.ended), "gate {gate}");
    }
    // A change noted later revives nothing.
    stage.gates[1].notices.changed(&[stage.session]).await;
    assert!(stage.state(0).await.is_none_or(|state| state.ended));
}

/// A second factor shown again counts in the next request.
pub async fn a_change_is_known_to_every_process_at_once(maker: &dyn GateMaker) {
    let stage = stage(maker).await;
    for gate in [0, 1] {
        assert_eq!(stage.state(gate).await, Some(stage.state));
    }
    let changed = SessionState { role: Role::Support, second_factor_at: None, ..stage.state };
    stage.origin.set(stage.session, changed);
    stage.gates[0].notices.changed(&[stage.session]).await;
    for gate in [0, 1] {
        assert_eq!(stage.state(gate).await, Some(changed), "gate {gate}");
    }
}

/// What the store can't answer is an error, not a state.
pub async fn a_store_that_is_away_lets_nobody_in(maker: &dyn GateMaker) {
    let stage = stage(maker).await;
    stage.origin.0.lock().unwrap().2 = true;
    let answer = stage.gates[0].gate.state(stage.session, stage.now).await;
    assert!(matches!(answer, Err(PortError::Unavailable { .. })), "{answer:?}");
    stage.origin.0.lock().unwrap().2 = false;
    assert_eq!(stage.state(0).await, Some(stage.state), "and is asked again");
}
