//! Doctors and staff.

use crate::*;
use amrutam_identity::{
    CreateStaffError, INVITED, InviteError, SetPasswordError,
    use_cases::{Invite, accept_invitation, forget_password, invite},
};
use amrutam_kernel::Denial;

fn invitation(role: Role, name: &str) -> Invite {
    Invite { role, email: email(name), profile: profile() }
}

#[tokio::test]
async fn an_invited_person_chooses_a_password_and_is_in() {
    let stage = Stage::new();
    let (_, _, admin) = stage.enrolled(Role::Admin, "admin").await;
    let context = stage.signed_in(&admin).await;
    stage.announced();
    let id = invite(stage.mail(), &context, invitation(Role::Doctor, "vaidya"), None).await.unwrap();
    stage.assert_last_entry("account.invite", Some(id), Outcome::Allowed);
    assert_eq!(stage.world.outbox()[0].event_type, INVITED);
    let link = stage.mailed(LinkPurpose::Invitation);
    assert!(stage.try_log_in("vaidya", "").await.is_err());

    stage.wait(7 * 24 * 3600 - 1);
    let guessed = accept_invitation(stage.mail(), &stage.nobody(), &link, &new("password1")).await;
    assert!(matches!(guessed, Err(SetPasswordError::Password(_))));
    assert_eq!(accept_invitation(stage.mail(), &stage.nobody(), &link, &new(PASSWORD)).await.unwrap(), id);
    stage.assert_last_entry("account.accept_invitation", Some(id), Outcome::Allowed);
    assert_eq!(stage.announced_types(), Vec::<String>::new(), "nothing to warn of");
    let account = stage.world.accounts().into_iter().find(|account| account.id == id).unwrap();
    assert_eq!((account.role, account.email_verified_at), (Role::Doctor, Some(stage.now())));
    stage.log_in("vaidya").await;
    let again = accept_invitation(stage.mail(), &stage.nobody(), &link, &new(OTHER_PASSWORD)).await;
    assert!(matches!(again, Err(SetPasswordError::InvalidLink)));
    forget_password(stage.mail(), &stage.nobody(), Some(&email("vaidya"))).await.unwrap();
    assert_eq!(stage.announced().len(), 1);
}

#[tokio::test]
async fn an_invitation_can_be_sent_again_and_only_the_newest_link_works() {
    let stage = Stage::new();
    let id = invite(stage.mail(), &stage.operator(), invitation(Role::Support, "help"), None).await.unwrap();
    let first = stage.mailed(LinkPurpose::Invitation);
    stage.wait(8 * 24 * 3600);
    let again = invite(stage.mail(), &stage.operator(), invitation(Role::Support, "help"), None).await.unwrap();
    assert_eq!(again, id);
    let second = stage.mailed(LinkPurpose::Invitation);
    assert!(accept_invitation(stage.mail(), &stage.nobody(), &first, &new(PASSWORD)).await.is_err());
    accept_invitation(stage.mail(), &stage.nobody(), &second, &new(PASSWORD)).await.unwrap();
    for role in [Role::Support, Role::Admin] {
        let taken = invite(stage.mail(), &stage.operator(), invitation(role, "help"), None).await;
        assert!(matches!(taken, Err(InviteError::EmailTaken)), "{taken:?}");
    }
}

#[tokio::test]
async fn an_invitation_to_another_role_changes_nothing() {
    let stage = Stage::new();
    invite(stage.mail(), &stage.operator(), invitation(Role::Support, "help"), None).await.unwrap();
    let taken = invite(stage.mail(), &stage.operator(), invitation(Role::Admin, "help"), None).await;
    assert!(matches!(taken, Err(InviteError::EmailTaken)), "{taken:?}");
    let patient = invite(stage.mail(), &stage.operator(), invitation(Role::Patient, "asha"), None).await;
    assert!(matches!(patient, Err(InviteError::NotAStaffRole)), "{patient:?}");
    assert_eq!(stage.world.accounts().len(), 1);
    assert_eq!(stage.world.accounts()[0].role, Role::Support);
}

#[tokio::test]
async fn only_an_admin_who_has_just_shown_the_factor_invites() {
    let stage = Stage::new();
    for role in [Role::Patient, Role::Support] {
        let name = role.as_str();
        stage.person(role, name).await;
        let context = stage.signed_in(&stage.log_in(name).await).await;
        let refused = invite(stage.mail(), &context, invitation(Role::Admin, "crony"), None).await;
        assert!(matches!(refused, Err(InviteError::Denied(Denial::Forbidden))), "{name} {refused:?}");
        stage.assert_last_entry("account.invite", None, Outcome::Denied);
        let command = NewStaff { role, email: email("crony"), password: new(PASSWORD), profile: profile() };
        let refused = create_staff(stage.core(), &context, command, None).await;
        assert!(matches!(refused, Err(CreateStaffError::Denied(Denial::Forbidden))), "{name} {refused:?}");
    }
    stage.person(Role::Admin, "without").await;
    let context = stage.signed_in(&stage.log_in("without").await).await;
    let refused = invite(stage.mail(), &context, invitation(Role::Doctor, "vaidya"), None).await;
    assert!(matches!(refused, Err(InviteError::Denied(Denial::SecondFactorRequired))), "{refused:?}");

    let (_, _, admin) = stage.enrolled(Role::Admin, "admin").await;
    stage.wait(5 * 60);
    let refused = invite(stage.mail(), &stage.signed_in(&admin).await, invitation(Role::Doctor, "vaidya"), None).await;
    assert!(matches!(refused, Err(InviteError::Denied(Denial::StepUpRequired))), "{refused:?}");
    let nobody = invite(stage.mail(), &stage.nobody(), invitation(Role::Doctor, "vaidya"), None).await;
    assert!(matches!(nobody, Err(InviteError::Denied(Denial::NotSignedIn))), "{nobody:?}");
    assert_eq!(stage.world.links().len(), 0);
}
