//! How a session stands.

use super::{Harness, stage::*};
use crate::{
    Account,
    model::{AccountStatus, EndReason, SessionState},
    ports::AccountChange,
};
use amrutam_kernel::{AccountId, Effects, Role, SessionId};
use jiff::{SignedDuration, Timestamp};

async fn state(harness: &dyn Harness, session: SessionId, now: Timestamp) -> SessionState {
    harness.gate().state(session, now).await.unwrap().unwrap()
}

fn plain(account: AccountId, role: Role) -> SessionState {
    SessionState { account, role, ended: false, second_factor_at: None, enrolled: false }
}

/// In every role.
pub async fn the_gate_says_whose_a_session_is(harness: &dyn Harness) {
    for role in Role::ALL {
        let account = Account { role, ..account(harness) };
        store(harness, &account).await;
        let (session, _) = opened(harness, account.id).await;
        assert_eq!(state(harness, session.id, harness.now()).await, plain(account.id, role));
    }
    let nobody = SessionId::from_uuid(stranger().as_uuid());
    assert_eq!(harness.gate().state(nobody, harness.now()).await.unwrap(), None);
}

/// By its own end, by its times, by the account's end.
pub async fn the_gate_knows_every_end(harness: &dyn Harness) {
    let account = stored(harness).await;
    let (one, two) = (opened(harness, account.id).await.0, opened(harness, account.id).await.0);
    harness.sessions().end(one.id, harness.now(), EndReason::LoggedOut, &Effects::default()).await.unwrap();
    assert!(state(harness, one.id, harness.now()).await.ended);
    let before = two.idle_expires_at - SignedDuration::from_micros(1);
    assert!(!state(harness, two.id, before).await.ended);
    assert!(state(harness, two.id, two.idle_expires_at).await.ended);

    // Used until the last day, it ends all the same.
    let (mut three, mut token) = opened(harness, account.id).await;
    while three.idle_expires_at < three.expires_at {
        let at = three.idle_expires_at - SignedDuration::from_hours(1);
        let (used, next) = (three.clone().used(at), refresh(2, at));
        let rotation = crate::ports::Rotation { presented: &token.digest, next: &next, session: &used };
        harness.sessions().rotate(rotation, &Effects::default(), (at, &Effects::default())).await.unwrap();
        (three, token) = (used, next);
    }
    assert!(!state(harness, three.id, three.expires_at - SignedDuration::from_micros(1)).await.ended);
    assert!(state(harness, three.id, three.expires_at).await.ended);

    let (four, _) = opened(harness, account.id).await;
    let closed = Account { status: AccountStatus::Deactivated, version: 2, ..account };
    // Without ending its sessions, which use cases do: the gate does not rely on it.
    let change = AccountChange { account: &closed, spend: None, void_links: None, end_sessions: None };
    assert!(!state(harness, four.id, harness.now()).await.ended);
    harness.accounts().update(change, &Effects::default()).await.unwrap();
    assert!(state(harness, four.id, harness.now()).await.ended);
}

/// A factor counts from its confirmation to its removal; showing it counts in its session.
pub async fn the_gate_knows_the_second_factor(harness: &dyn Harness) {
    let account = stored(harness).await;
    let (session, _) = opened(harness, account.id).await;
    harness.factors().begin(account.id, &pending(harness.now()), &Effects::default()).await.unwrap();
    assert!(!state(harness, session.id, harness.now()).await.enrolled, "not before its first code");
    enrolled(harness, account.id, &[]).await;
    let plain = plain(account.id, account.role);
    let known = SessionState { enrolled: true, ..plain };
    assert_eq!(state(harness, session.id, harness.now()).await, known);
    let at = minutes(harness, 1);
    harness.sessions().step_up(session.id, at, &Effects::default()).await.unwrap();
    assert_eq!(state(harness, session.id, at).await, SessionState { second_factor_at: Some(at), ..known });
    harness.factors().remove(account.id, &Effects::default()).await.unwrap();
    assert_eq!(state(harness, session.id, at).await, SessionState { second_factor_at: Some(at), ..plain });
}
