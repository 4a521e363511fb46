//! Changes that meet another, and a store that is away.

use crate::*;
use amrutam_identity::{
    ChangePasswordError, SetPasswordError, VerifyEmailError,
    use_cases::{ChangePassword, change_password, forget_password, refresh, reset_password, verify_email},
};
use amrutam_kernel::{PortError, SecondFactor};
use amrutam_memory::Fault;

#[tokio::test]
async fn a_change_that_meets_another_is_decided_anew() {
    let stage = Stage::new();
    stage.register("asha").await;
    let token = stage.mailed(LinkPurpose::VerifyEmail);
    stage.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    verify_email(stage.mail(), &stage.nobody(), &token).await.unwrap();

    let context = stage.signed_in(&stage.log_in("asha").await).await;
    let command = || ChangePassword { current: secret(PASSWORD), new: new(OTHER_PASSWORD) };
    stage.world.fail_next_commits([Fault::Stale, Fault::Busy, Fault::Stale]);
    let given_up = change_password(stage.deps(), &context, command()).await;
    assert!(matches!(given_up, Err(ChangePasswordError::Port(PortError::Unavailable { .. }))), "{given_up:?}");
    assert!(stage.try_log_in("asha", PASSWORD).await.is_ok());
    change_password(stage.deps(), &context, command()).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_spends_the_link_and_the_change_is_made() {
    let stage = Stage::new();
    stage.person(Role::Patient, "asha").await;
    forget_password(stage.mail(), &stage.nobody(), Some(&email("asha"))).await.unwrap();
    let token = stage.mailed(LinkPurpose::ResetPassword);
    stage.world.fail_next_commits([Fault::LostAnswer]);
    let lost = reset_password(stage.mail(), &stage.nobody(), &token, &new(OTHER_PASSWORD)).await;
    assert!(matches!(lost, Err(SetPasswordError::Port(_))), "{lost:?}");
    let again = reset_password(stage.mail(), &stage.nobody(), &token, &new(OTHER_PASSWORD)).await;
    assert!(matches!(again, Err(SetPasswordError::InvalidLink)), "{again:?}");
    assert!(stage.try_log_in("asha", OTHER_PASSWORD).await.is_ok());
}

/// Else the owner would have a factor without the codes for the day it is lost.
#[tokio::test]
async fn a_factor_in_force_gives_its_codes_whatever_happens_then() {
    let stage = Stage::new();
    stage.register("asha").await;
    let tokens = stage.log_in("asha").await;
    let context = stage.signed_in(&tokens).await;
    let factor = begin_totp(stage.deps(), &context).await.unwrap();
    stage.world.fail_next_commits([Fault::ThenAway]);
    let codes = confirm_totp(stage.deps(), &context, &stage.shown(&factor)).await.unwrap();
    stage.world.set_away(false);
    let mfa_token = stage.first_step("asha").await;
    stage.second_step(&mfa_token, TypedFactor::RecoveryCode(codes.0[0].clone())).await.unwrap();
    stage.wait(15);
    assert_eq!(stage.signed_in(&tokens).await.sign_in.unwrap().second_factor, SecondFactor::Enrolled);
}

#[tokio::test]
async fn while_the_store_is_away_nobody_gets_in_and_nothing_is_lost() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let link = stage.mailed(LinkPurpose::VerifyEmail);
    let tokens = stage.log_in("asha").await;
    stage.world.set_away(true);
    assert!(matches!(stage.try_log_in("asha", PASSWORD).await, Err(amrutam_identity::LogInError::Port(_))));
    assert!(refresh(stage.deps(), &stage.nobody(), &tokens.refresh_token).await.is_err());
    let away = verify_email(stage.mail(), &stage.nobody(), &link).await;
    assert!(matches!(away, Err(VerifyEmailError::Port(_))), "{away:?}");
    stage.world.set_away(false);

    stage.world.fail_next_commits([Fault::Unavailable]);
    assert!(refresh(stage.deps(), &stage.nobody(), &tokens.refresh_token).await.is_err());
    refresh(stage.deps(), &stage.nobody(), &tokens.refresh_token).await.unwrap();
    verify_email(stage.mail(), &stage.nobody(), &link).await.unwrap();
    stage.assert_last_entry("account.verify_email", Some(id), Outcome::Allowed);
}
