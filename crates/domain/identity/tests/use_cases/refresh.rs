//! Refresh tokens.

use crate::*;
use amrutam_identity::{
    RefreshError, SESSION_REVOKED,
    model::EndReason,
    use_cases::{Deactivate, deactivate, log_out, refresh},
};

const DAY: i64 = 24 * 3600;

async fn exchange(stage: &Stage, tokens: &Tokens) -> Result<Tokens, RefreshError> {
    refresh(stage.deps(), &stage.nobody(), &tokens.refresh_token).await
}

#[tokio::test]
async fn each_token_is_good_for_one_pair_of_the_same_session() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let mut tokens = stage.log_in("asha").await;
    for _ in 0..5 {
        stage.wait(15 * 60);
        assert!(stage.caller(&tokens).await.is_none(), "an access token ends after 15 minutes");
        let next = exchange(&stage, &tokens).await.unwrap();
        stage.assert_last_entry("session.refresh", Some(id), Outcome::Allowed);
        assert_eq!(next.claims.session, tokens.claims.session);
        assert_ne!(next.refresh_token, tokens.refresh_token);
        assert!(stage.caller(&next).await.is_some());
        tokens = next;
    }
}

#[tokio::test]
async fn a_spent_token_ends_the_session_for_both_holders_and_the_owner_is_told() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (stolen, elsewhere) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let next = exchange(&stage, &stolen).await.unwrap();
    assert!(stage.caller(&next).await.is_some());
    stage.announced();

    assert!(matches!(exchange(&stage, &stolen).await, Err(RefreshError::SessionRevoked)));
    stage.assert_last_entry("session.refresh", Some(id), Outcome::Denied);
    let events = stage.announced();
    assert_eq!((events.len(), &*events[0].event_type), (1, SESSION_REVOKED));
    assert_eq!(events[0].payload["session_id"], serde_json::json!(stolen.claims.session));
    assert!(stage.caller(&next).await.is_none(), "at once, though the gate had just let it in");
    for token in [&next, &stolen] {
        assert!(matches!(exchange(&stage, token).await, Err(RefreshError::SessionRevoked)));
        stage.assert_last_entry("session.refresh", Some(id), Outcome::Denied);
    }
    stage.gate.flush();
    assert!(stage.caller(&next).await.is_none(), "also when the cache has lost everything");
    assert_eq!(stage.announced_types(), Vec::<String>::new(), "told once");
    exchange(&stage, &elsewhere).await.unwrap();
}

#[tokio::test]
async fn an_unused_session_ends_after_30_days_and_a_used_one_after_90() {
    let stage = Stage::new();
    stage.register("asha").await;
    let (unused, mut used) = (stage.log_in("asha").await, stage.log_in("asha").await);
    for _ in 0..3 {
        stage.wait(30 * DAY - 400);
        used = exchange(&stage, &used).await.unwrap();
    }
    assert!(matches!(exchange(&stage, &unused).await, Err(RefreshError::InvalidToken)));
    // Twenty minutes before the end the access token ends with the session.
    stage.wait(600);
    used = exchange(&stage, &used).await.unwrap();
    let session = stage.world.sessions().into_iter().find(|session| session.id == used.claims.session).unwrap();
    assert_eq!(used.claims.expires_at, session.expires_at);
    stage.wait(600);
    assert!(matches!(exchange(&stage, &used).await, Err(RefreshError::InvalidToken)));
    assert!(stage.caller(&used).await.is_none());
}

#[tokio::test]
async fn nothing_is_given_for_a_session_or_an_account_that_is_over() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (left, closed) = (stage.log_in("asha").await, stage.log_in("asha").await);
    log_out(stage.deps(), &stage.signed_in(&left).await).await.unwrap();
    assert!(matches!(exchange(&stage, &left).await, Err(RefreshError::InvalidToken)));
    deactivate(stage.deps(), &stage.operator(), Deactivate { account: id, password: None }).await.unwrap();
    assert!(matches!(exchange(&stage, &closed).await, Err(RefreshError::InvalidToken)));
    for garbage in ["", "x", closed.access_token.expose(), &"A".repeat(70), &"A".repeat(100_000)] {
        let refused = refresh(stage.deps(), &stage.nobody(), &secret(garbage)).await;
        assert!(matches!(refused, Err(RefreshError::InvalidToken)));
    }
    let reasons: Vec<_> =
        stage.world.sessions().into_iter().filter_map(|session| session.ended).map(|(_, why)| why).collect();
    assert_eq!(reasons, [EndReason::LoggedOut, EndReason::Deactivated]);
}

#[tokio::test]
async fn of_many_exchanges_at_once_one_gives_tokens() {
    let stage = Arc::new(Stage::new());
    stage.register("asha").await;
    let tokens = stage.log_in("asha").await;
    let runs: Vec<_> = (0..16)
        .map(|_| {
            let (stage, tokens) = (stage.clone(), tokens.clone());
            tokio::spawn(async move { exchange(&stage, &tokens).await.is_ok() })
        })
        .collect();
    let mut given = 0;
    for run in runs {
        given += usize::from(run.await.unwrap());
    }
    assert_eq!(given, 1);
    assert!(stage.caller(&tokens).await.is_none(), "two held it: the session is over");
}
