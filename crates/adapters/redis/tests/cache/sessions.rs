//! How sessions stand, for a few seconds.

use crate::{PREFIX, cache, cache_within, support::RedisNode};
use amrutam_kernel::SessionId;
use amrutam_redis::{CachedSession, SessionCache};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

const SECONDS: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    role: String,
    stepped_up: Option<u64>,
}

fn state(role: &str) -> State {
    State { role: role.to_owned(), stepped_up: Some(7) }
}

fn new_session() -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(rand::random()))
}

async fn get(sessions: &SessionCache, session: SessionId) -> CachedSession<State> {
    sessions.get(session).await
}

async fn lives(node: &RedisNode, session: SessionId) -> i64 {
    node.run(&["PTTL", &format!("{PREFIX}session:{session}")]).await
}

#[tokio::test]
async fn a_state_is_known_to_all_for_fifteen_seconds_at_most() {
    let node = RedisNode::start().await;
    let (here, there) = (SessionCache::new(Some(cache(&node).await)), SessionCache::new(Some(cache(&node).await)));
    let (session, other) = (new_session(), new_session());
    assert_eq!(get(&here, session).await, CachedSession::Unknown);
    here.remember(session, &state("doctor"), Duration::from_secs(3_600)).await;
    assert_eq!(get(&there, session).await, CachedSession::Known(state("doctor")));
    assert_eq!(get(&there, other).await, CachedSession::Unknown);
    let left = lives(&node, session).await;
    assert!((1..=15_000).contains(&left), "{left}");
    here.remember(other, &state("doctor"), Duration::from_millis(200)).await;
    assert!((1..=200).contains(&lives(&node, other).await));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(get(&here, other).await, CachedSession::Unknown);
    here.remember(other, &state("doctor"), Duration::ZERO).await;
    assert_eq!(get(&here, other).await, CachedSession::Unknown);
}

#[tokio::test]
async fn an_end_overrides_and_is_not_covered_by_who_has_looked_before() {
    let node = RedisNode::start().await;
    let sessions = SessionCache::new(Some(cache(&node).await));
    let (known, unknown) = (new_session(), new_session());
    sessions.remember(known, &state("doctor"), SECONDS).await;
    assert!(sessions.revoke(&[known, unknown]).await);
    for session in [known, unknown] {
        sessions.remember(session, &state("doctor"), SECONDS).await;
        assert!(sessions.forget(&[session]).await);
        assert_eq!(get(&sessions, session).await, CachedSession::Revoked);
        let left = lives(&node, session).await;
        assert!((1_190_000..=1_200_000).contains(&left), "{left}");
    }
    assert!(sessions.revoke(&[]).await && sessions.forget(&[]).await);
}

#[tokio::test]
async fn a_change_is_not_covered_by_who_has_looked_before() {
    let node = RedisNode::start().await;
    let sessions = SessionCache::new(Some(cache(&node).await));
    let session = new_session();
    sessions.remember(session, &state("patient"), SECONDS).await;
    assert!(sessions.forget(&[session]).await);
    assert_eq!(get(&sessions, session).await, CachedSession::Unknown);
    sessions.remember(session, &state("patient"), SECONDS).await;
    assert_eq!(get(&sessions, session).await, CachedSession::Unknown, "it was read before the change, perhaps");
    assert!((1..=2_000).contains(&lives(&node, session).await));
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    sessions.remember(session, &state("doctor"), SECONDS).await;
    assert_eq!(get(&sessions, session).await, CachedSession::Known(state("doctor")));
}

#[tokio::test]
async fn what_can_not_be_read_is_unknown() {
    let node = RedisNode::start().await;
    let sessions = SessionCache::new(Some(cache(&node).await));
    let session = new_session();
    for stored in ["", "=", "={}", "=null", "x", r#"{"role":"admin","stepped_up":null}"#] {
        let _: () = node.run(&["SET", &format!("{PREFIX}session:{session}"), stored]).await;
        assert_eq!(get(&sessions, session).await, CachedSession::Unknown, "{stored}");
    }
    let _: () = node.run(&["FLUSHALL"]).await;
    let _: () = node.run(&["LPUSH", &format!("{PREFIX}session:{session}"), "x"]).await;
    assert_eq!(get(&sessions, session).await, CachedSession::Unknown);
}

#[tokio::test]
async fn without_redis_everything_is_unknown_and_soon() {
    let node = RedisNode::start().await;
    let deadline = Duration::from_millis(100);
    let sessions = SessionCache::new(Some(cache_within(&node, deadline).await));
    let session = new_session();
    sessions.remember(session, &state("doctor"), SECONDS).await;
    node.stop();
    let began = Instant::now();
    assert_eq!(get(&sessions, session).await, CachedSession::Unknown);
    assert!(began.elapsed() >= deadline && began.elapsed() < deadline * 4, "{:?}", began.elapsed());
    let began = Instant::now();
    sessions.remember(session, &state("doctor"), SECONDS).await;
    assert!(!sessions.revoke(&[session]).await && !sessions.forget(&[session]).await, "it says that it has not");
    assert_eq!(get(&sessions, session).await, CachedSession::Unknown);
    assert!(began.elapsed() < deadline, "{:?}", began.elapsed());
    node.go_on();

    let none = SessionCache::new(None);
    none.remember(session, &state("doctor"), SECONDS).await;
    assert_eq!(get(&none, session).await, CachedSession::Unknown);
    assert!(none.revoke(&[session]).await && none.forget(&[session]).await, "there is nothing that could be wrong");
}
