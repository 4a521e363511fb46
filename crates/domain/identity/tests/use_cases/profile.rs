//! One's own account.

use crate::*;
use amrutam_identity::{
    AccountError, DEACTIVATED, DeactivateError,
    model::{AccountStatus, EndReason, Sex},
    use_cases::{Deactivate, deactivate, update_profile, who_am_i},
};
use amrutam_kernel::{Denial, PortError};
use amrutam_memory::Fault;

#[tokio::test]
async fn a_profile_is_changed_at_the_version_that_was_seen() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let context = stage.signed_in(&stage.log_in("asha").await).await;
    let seen = who_am_i(stage.core(), &context).await.unwrap();
    stage.assert_last_entry("account.read", Some(id), Outcome::Allowed);
    assert_eq!((seen.id, seen.version), (id, 1));

    let edit = |profile: Profile| Profile { sex: Some(Sensitive::new(Sex::Female)), ..profile };
    let changed = update_profile(stage.core(), &context, Some(&[1]), edit).await.unwrap();
    stage.assert_last_entry("account.update", Some(id), Outcome::Allowed);
    assert_eq!(changed.version, 2);
    assert_eq!(who_am_i(stage.core(), &context).await.unwrap(), changed);
    let stale = update_profile(stage.core(), &context, Some(&[1]), edit).await;
    assert!(matches!(stale, Err(AccountError::Precondition)), "{stale:?}");
    assert_eq!(update_profile(stage.core(), &context, None, edit).await.unwrap().version, 3);

    stage.world.fail_next_commits([Fault::Stale]);
    let raced = update_profile(stage.core(), &context, Some(&[3]), edit).await;
    assert!(matches!(raced, Err(AccountError::Precondition)), "what it was read from has changed: {raced:?}");
    stage.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    assert_eq!(update_profile(stage.core(), &context, None, edit).await.unwrap().version, 4, "decided anew");
    stage.world.fail_next_commits([Fault::Stale, Fault::Busy, Fault::Stale]);
    let given_up = update_profile(stage.core(), &context, None, edit).await;
    assert!(matches!(given_up, Err(AccountError::Port(PortError::Unavailable { .. }))), "{given_up:?}");
    let nobody = update_profile(stage.core(), &stage.nobody(), None, edit).await;
    assert!(matches!(nobody, Err(AccountError::Denied(Denial::NotSignedIn))));
}

#[tokio::test]
async fn an_owner_closes_their_account_with_their_password() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (here, there) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let context = stage.signed_in(&here).await;
    for password in [None, Some(secret("wrong"))] {
        let refused = deactivate(stage.deps(), &context, Deactivate { account: id, password }).await;
        assert!(matches!(refused, Err(DeactivateError::WrongPassword)), "{refused:?}");
        stage.assert_last_entry("account.deactivate", Some(id), Outcome::Denied);
    }
    stage.announced();
    let command = Deactivate { account: id, password: Some(secret(PASSWORD)) };
    deactivate(stage.deps(), &context, command.clone()).await.unwrap();
    assert_eq!(stage.announced_types(), [DEACTIVATED]);
    assert_eq!(stage.world.accounts()[0].status, AccountStatus::Deactivated);
    assert!(stage.caller(&here).await.is_none() && stage.caller(&there).await.is_none());
    let reasons = stage.world.sessions().into_iter().map(|session| session.ended.unwrap().1);
    assert!(reasons.eq([EndReason::Deactivated; 2]));
    assert!(stage.try_log_in("asha", PASSWORD).await.is_err());
    let again = deactivate(stage.deps(), &context, command).await;
    assert!(matches!(again, Err(DeactivateError::Denied(Denial::Hidden))), "{again:?}");
}

#[tokio::test]
async fn an_admin_closes_anothers_account_after_showing_the_factor_again() {
    let stage = Stage::new();
    let patient = stage.register("asha").await;
    let (_, _, tokens) = stage.enrolled(Role::Admin, "admin").await;
    let close = |account| Deactivate { account, password: None };
    stage.register("ravi").await;
    let ravi = stage.signed_in(&stage.log_in("ravi").await).await;
    let refused = deactivate(stage.deps(), &ravi, close(patient)).await;
    assert!(matches!(refused, Err(DeactivateError::Denied(Denial::Hidden))), "{refused:?}");

    stage.wait(5 * 60);
    let refused = deactivate(stage.deps(), &stage.signed_in(&tokens).await, close(patient)).await;
    assert!(matches!(refused, Err(DeactivateError::Denied(Denial::StepUpRequired))), "{refused:?}");
    stage.assert_last_entry("account.deactivate", Some(patient), Outcome::Denied);
    let factor_at =
        stage.world.sessions().into_iter().find(|s| s.id == tokens.claims.session).unwrap().second_factor_at;
    stage.clock.set(factor_at.unwrap() + SignedDuration::from_secs(299));
    stage.gate.flush();
    deactivate(stage.deps(), &stage.signed_in(&tokens).await, close(patient)).await.unwrap();
    stage.assert_last_entry("account.deactivate", Some(patient), Outcome::Allowed);
    let nobody = AccountId::from_uuid(stage.ids.uuid_v7(stage.now()));
    let missing = deactivate(stage.deps(), &stage.signed_in(&tokens).await, close(nobody)).await;
    assert!(matches!(missing, Err(DeactivateError::Denied(Denial::Hidden))), "{missing:?}");
}
