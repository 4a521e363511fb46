//! Where one is signed in.

use crate::*;
use amrutam_identity::{
    SessionError,
    model::EndReason,
    use_cases::{end_session, end_sessions_of, list_sessions, log_out, log_out_everywhere},
};
use amrutam_kernel::{Denial, SessionId};

#[tokio::test]
async fn an_owner_sees_and_ends_their_sessions() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (phone, laptop) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let context = stage.signed_in(&phone).await;
    let page = list_sessions(stage.deps(), &context, first_page()).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
    stage.assert_last_entry("session.list", Some(id), Outcome::Allowed);

    assert!(stage.caller(&laptop).await.is_some());
    end_session(stage.deps(), &context, laptop.claims.session).await.unwrap();
    stage.assert_last_entry("session.end", Some(id), Outcome::Allowed);
    assert!(stage.caller(&laptop).await.is_none(), "on its next request");
    assert!(stage.caller(&phone).await.is_some());
    let again = end_session(stage.deps(), &context, laptop.claims.session).await;
    assert!(matches!(again, Err(SessionError::Denied(Denial::Hidden))), "it is not there any more");
    stage.assert_last_entry("session.end", Some(id), Outcome::Denied);

    log_out(stage.deps(), &context).await.unwrap();
    assert!(stage.caller(&phone).await.is_none());
    let ends: Vec<_> = stage.world.sessions().into_iter().map(|session| session.ended.unwrap().1).collect();
    assert_eq!(ends, [EndReason::LoggedOut, EndReason::Ended]);
}

#[tokio::test]
async fn logging_out_everywhere_ends_all_of_ones_own() {
    let stage = Stage::new();
    stage.register("asha").await;
    stage.register("ravi").await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(stage.log_in("asha").await);
    }
    let ravi = stage.log_in("ravi").await;
    for tokens in &all {
        assert!(stage.caller(tokens).await.is_some());
    }
    log_out_everywhere(stage.deps(), &stage.signed_in(&all[1]).await).await.unwrap();
    for tokens in &all {
        assert!(stage.caller(tokens).await.is_none());
    }
    assert!(stage.caller(&ravi).await.is_some());
}

#[tokio::test]
async fn anothers_session_looks_like_none() {
    let stage = Stage::new();
    let owner = stage.register("asha").await;
    stage.register("ravi").await;
    let (asha, ravi) = (stage.log_in("asha").await, stage.log_in("ravi").await);
    let context = stage.signed_in(&ravi).await;
    let nowhere = SessionId::from_uuid(stage.ids.uuid_v7(stage.now()));
    for (id, about) in [(asha.claims.session, Some(owner)), (nowhere, None)] {
        let refused = end_session(stage.deps(), &context, id).await;
        assert!(matches!(refused, Err(SessionError::Denied(Denial::Hidden))), "{refused:?}");
        stage.assert_last_entry("session.end", about, Outcome::Denied);
    }
    let refused = end_sessions_of(stage.deps(), &context, owner).await;
    assert!(matches!(refused, Err(SessionError::Denied(Denial::Hidden))), "{refused:?}");
    assert!(stage.caller(&asha).await.is_some());
}

#[tokio::test]
async fn support_ends_all_of_anybodys_sessions_and_no_single_one() {
    let stage = Stage::new();
    let owner = stage.register("asha").await;
    let (_, _, help) = stage.enrolled(Role::Support, "help").await;
    let (one, two) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let context = stage.signed_in(&help).await;
    let refused = end_session(stage.deps(), &context, one.claims.session).await;
    assert!(matches!(refused, Err(SessionError::Denied(Denial::Hidden))), "{refused:?}");
    stage.assert_last_entry("session.end", Some(owner), Outcome::Denied);
    assert!(stage.caller(&one).await.is_some());
    end_sessions_of(stage.deps(), &context, owner).await.unwrap();
    stage.assert_last_entry("session.end_all", Some(owner), Outcome::Allowed);
    assert!(stage.caller(&one).await.is_none() && stage.caller(&two).await.is_none());
    assert!(stage.caller(&help).await.is_some());
    let nobody = AccountId::from_uuid(stage.ids.uuid_v7(stage.now()));
    assert!(matches!(end_sessions_of(stage.deps(), &context, nobody).await, Err(SessionError::Denied(Denial::Hidden))));
    assert!(list_sessions(stage.deps(), &stage.nobody(), first_page()).await.is_err());
}

#[tokio::test]
async fn an_account_that_lacks_its_factor_can_leave_and_nothing_else() {
    let stage = Stage::new();
    stage.person(Role::Doctor, "vaidya").await;
    let tokens = stage.log_in("vaidya").await;
    let context = stage.signed_in(&tokens).await;
    let refused = list_sessions(stage.deps(), &context, first_page()).await;
    assert!(matches!(refused, Err(SessionError::Denied(Denial::SecondFactorRequired))), "{refused:?}");
    log_out(stage.deps(), &context).await.unwrap();
    assert!(stage.caller(&tokens).await.is_none());
}
