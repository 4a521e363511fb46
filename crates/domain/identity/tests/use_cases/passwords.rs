//! Passwords are changed, forgotten and set anew.

use crate::*;
use amrutam_identity::{
    ChangePasswordError, PASSWORD_CHANGED, PASSWORD_RESET_REQUESTED, SetPasswordError,
    model::{EndReason, InvalidPassword},
    ports::AccountStore,
    use_cases::{
        ChangePassword, Deactivate, Invite, change_password, deactivate, forget_password, invite, reset_password,
    },
};

async fn forget(stage: &Stage, name: &str) {
    forget_password(stage.mail(), &stage.nobody(), Some(&email(name))).await.unwrap();
}

async fn reset(stage: &Stage, token: &Sensitive<String>, password: &str) -> Result<AccountId, SetPasswordError> {
    reset_password(stage.mail(), &stage.nobody(), token, &new(password)).await
}

#[tokio::test]
async fn a_change_ends_the_other_sessions_and_voids_links_under_way() {
    let stage = Stage::new();
    let id = stage.person(Role::Patient, "asha").await;
    let (here, there) = (stage.log_in("asha").await, stage.log_in("asha").await);
    assert!(stage.caller(&there).await.is_some());
    forget(&stage, "asha").await;
    let link = stage.mailed(LinkPurpose::ResetPassword);

    let context = stage.signed_in(&here).await;
    let command = ChangePassword { current: secret(PASSWORD), new: new(OTHER_PASSWORD) };
    change_password(stage.deps(), &context, command).await.unwrap();
    stage.assert_last_entry("account.change_password", Some(id), Outcome::Allowed);
    assert_eq!(stage.announced_types(), [PASSWORD_CHANGED]);
    assert!(stage.caller(&here).await.is_some() && stage.caller(&there).await.is_none());
    assert!(matches!(reset(&stage, &link, "a third one that is good").await, Err(SetPasswordError::InvalidLink)));
    assert!(stage.try_log_in("asha", PASSWORD).await.is_err());
    assert!(stage.try_log_in("asha", OTHER_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_change_needs_the_present_password_and_a_good_new_one() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let context = stage.signed_in(&stage.log_in("asha").await).await;
    let change = |current, next| {
        change_password(stage.deps(), &context, ChangePassword { current: secret(current), new: new(next) })
    };
    let wrong = change("not the present one", OTHER_PASSWORD).await;
    assert!(matches!(wrong, Err(ChangePasswordError::WrongPassword)));
    stage.assert_last_entry("account.change_password", Some(id), Outcome::Denied);
    let guessed = change(PASSWORD, "Somebody Special").await;
    assert!(matches!(guessed, Err(ChangePasswordError::Password(InvalidPassword::Guessable))));
    assert!(stage.try_log_in("asha", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_a_link_that_ends_every_session() {
    let stage = Stage::new();
    let id = stage.person(Role::Patient, "asha").await;
    let tokens = stage.log_in("asha").await;
    assert!(stage.caller(&tokens).await.is_some());
    forget(&stage, "asha").await;
    stage.assert_last_entry("account.forget_password", Some(id), Outcome::Allowed);
    let link = stage.mailed(LinkPurpose::ResetPassword);

    let guessed = reset(&stage, &link, "password1").await;
    assert!(matches!(guessed, Err(SetPasswordError::Password(InvalidPassword::Guessable))), "and the link still works");
    assert_eq!(reset(&stage, &link, OTHER_PASSWORD).await.unwrap(), id);
    assert_eq!(stage.announced_types(), [PASSWORD_CHANGED]);
    assert!(stage.caller(&tokens).await.is_none());
    assert_eq!(stage.world.sessions()[0].ended, Some((stage.now(), EndReason::PasswordChanged)));
    assert!(stage.try_log_in("asha", PASSWORD).await.is_err());
    assert!(stage.try_log_in("asha", OTHER_PASSWORD).await.is_ok());

    assert!(matches!(reset(&stage, &link, PASSWORD).await, Err(SetPasswordError::InvalidLink)));
    stage.assert_last_entry("account.reset_password", None, Outcome::Denied);
}

#[tokio::test]
async fn a_reset_link_works_for_half_an_hour_and_only_the_newest() {
    let stage = Stage::new();
    stage.person(Role::Patient, "asha").await;
    forget(&stage, "asha").await;
    let first = stage.mailed(LinkPurpose::ResetPassword);
    forget(&stage, "asha").await;
    let second = stage.mailed(LinkPurpose::ResetPassword);
    assert!(reset(&stage, &first, OTHER_PASSWORD).await.is_err());
    stage.wait(30 * 60);
    assert!(reset(&stage, &second, OTHER_PASSWORD).await.is_err());
    forget(&stage, "asha").await;
    let third = stage.mailed(LinkPurpose::ResetPassword);
    stage.wait(30 * 60 - 1);
    reset(&stage, &third, OTHER_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_reset_lets_nobody_past_the_second_factor() {
    let stage = Stage::new();
    let (_, factor, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    forget(&stage, "vaidya").await;
    let link = stage.mailed(LinkPurpose::ResetPassword);
    reset(&stage, &link, OTHER_PASSWORD).await.unwrap();
    let LoggedIn::SecondFactor { mfa_token, .. } = stage.try_log_in("vaidya", OTHER_PASSWORD).await.unwrap() else {
        panic!("a mailbox alone let somebody in");
    };
    stage.wait(30);
    stage.second_step(&mfa_token, stage.code(&factor)).await.unwrap();
}

#[tokio::test]
async fn a_first_step_taken_with_the_old_password_is_over() {
    let stage = Stage::new();
    let (_, factor, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    let before = stage.first_step("vaidya").await;
    stage.wait(60);
    forget(&stage, "vaidya").await;
    let link = stage.mailed(LinkPurpose::ResetPassword);
    reset(&stage, &link, OTHER_PASSWORD).await.unwrap();
    let refused = stage.second_step(&before, stage.code(&factor)).await;
    assert!(matches!(refused, Err(amrutam_identity::SecondFactorError::InvalidMfaToken)), "{refused:?}");
}

/// The address of somebody else can be registered, and its owner's first act must not put that stranger's password in force.
#[tokio::test]
async fn who_registered_anothers_address_is_out_when_its_owner_asks_for_a_password() {
    let stage = Stage::new();
    let account = stage.register("squatted").await;
    forget(&stage, "squatted").await;
    let link = stage.mailed(LinkPurpose::ResetPassword);
    reset(&stage, &link, OTHER_PASSWORD).await.unwrap();
    assert!(
        AccountStore::by_id(&*stage.world, account).await.unwrap().undisclosed().unwrap().email_verified_at.is_some()
    );
    assert!(stage.try_log_in("squatted", PASSWORD).await.is_err());
    assert!(stage.try_log_in("squatted", OTHER_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn whoever_asks_is_answered_alike_and_only_an_open_account_gets_a_reset() {
    let stage = Stage::new();
    let unverified = stage.register("unverified").await;
    let verified = stage.person(Role::Patient, "verified").await;
    let closed = stage.person(Role::Patient, "closed").await;
    deactivate(stage.deps(), &stage.operator(), Deactivate { account: closed, password: None }).await.unwrap();
    let command = Invite { role: Role::Support, email: email("invited"), profile: profile() };
    let invited = invite(stage.mail(), &stage.operator(), command, None).await.unwrap();
    stage.announced();

    for (name, about, announced) in [
        ("verified", Some(verified), Some(PASSWORD_RESET_REQUESTED)),
        ("unverified", Some(unverified), Some(PASSWORD_RESET_REQUESTED)),
        ("closed", Some(closed), None),
        ("invited", Some(invited), None),
        ("unknown", None, None),
    ] {
        let entries = stage.world.audit().len();
        forget(&stage, name).await;
        assert_eq!(stage.announced_types(), announced.into_iter().collect::<Vec<_>>(), "{name}");
        let outcome = if announced.is_some() { Outcome::Allowed } else { Outcome::Denied };
        stage.assert_last_entry("account.forget_password", about, outcome);
        assert_eq!(stage.world.audit().len(), entries + 1, "{name}: one write for each");
    }
    forget_password(stage.mail(), &stage.nobody(), None).await.unwrap();
    stage.assert_last_entry("account.forget_password", None, Outcome::Denied);
}
