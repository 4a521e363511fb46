//! The first step.

use crate::*;
use amrutam_identity::{
    LogInError,
    model::{Assurance, EndReason},
    use_cases::{ACCESS_TOKEN_LIFETIME, Deactivate, Invite, deactivate, invite, verify_email},
};

#[tokio::test]
async fn a_right_password_opens_a_session_that_the_gate_knows() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let tokens = stage.log_in("asha").await;
    stage.assert_last_entry("account.log_in", Some(id), Outcome::Allowed);
    assert_eq!(stage.last_entry().actor, Actor::Account { id, role: Role::Patient });
    let claims = &tokens.claims;
    assert_eq!((claims.account, claims.role, claims.assurance), (id, Role::Patient, Assurance::Password));
    assert_eq!(claims.expires_at, stage.now() + ACCESS_TOKEN_LIFETIME);
    let [session] = stage.world.sessions().try_into().unwrap();
    assert_eq!((session.id, session.account, session.label.as_str()), (claims.session, id, "a test"));
    assert_eq!((session.ended, session.second_factor_at), (None::<(Timestamp, EndReason)>, None));
    let context = stage.signed_in(&tokens).await;
    assert_eq!(context.actor, Actor::Account { id, role: Role::Patient });
    assert_eq!(context.sign_in.unwrap().session, claims.session);
}

#[tokio::test]
async fn whatever_is_wrong_is_answered_alike() {
    let stage = Stage::new();
    let known = stage.register("asha").await;
    let closed = stage.person(Role::Patient, "closed").await;
    let command = Deactivate { account: closed, password: None };
    deactivate(stage.deps(), &stage.operator(), command).await.unwrap();
    let command = Invite { role: Role::Support, email: email("invited"), profile: profile() };
    let invited = invite(stage.mail(), &stage.operator(), command, None).await.unwrap();

    for (name, password, about) in [
        ("asha", "not her password", Some(known)),
        ("nobody", PASSWORD, None),
        ("closed", PASSWORD, Some(closed)),
        ("invited", "", Some(invited)),
        ("invited", PASSWORD, Some(invited)),
    ] {
        let entries = stage.world.audit().len();
        let refused = stage.try_log_in(name, password).await;
        assert!(matches!(refused, Err(LogInError::InvalidCredentials)), "{name}");
        stage.assert_last_entry("account.log_in", about, Outcome::Denied);
        assert_eq!(stage.last_entry().actor, Actor::Anonymous, "nobody has shown to be {name}");
        assert_eq!(stage.world.audit().len(), entries + 1, "{name}: one entry for each");
    }
    let command = LogIn { email: None, password: secret(PASSWORD), label: SessionLabel::default() };
    assert!(matches!(log_in(stage.deps(), &stage.nobody(), command).await, Err(LogInError::InvalidCredentials)));
    stage.assert_last_entry("account.log_in", None, Outcome::Denied);
    assert_eq!(stage.world.sessions().len(), 0);
}

/// Whoever opens an account with another's address gets nothing of it.
#[tokio::test]
async fn an_unverified_address_is_answered_like_a_wrong_password() {
    let mut stage = Stage::new();
    stage.rules = IdentityRules::default();
    let id = stage.register("asha").await;
    let link = stage.mailed(LinkPurpose::VerifyEmail);
    let entries = stage.world.audit().len();
    let refused = stage.try_log_in("asha", PASSWORD).await;
    assert!(matches!(refused, Err(LogInError::InvalidCredentials)), "{refused:?}");
    stage.assert_last_entry("account.log_in", Some(id), Outcome::Denied);
    assert_eq!(stage.last_entry().actor, Actor::Anonymous);
    assert_eq!((stage.world.audit().len(), stage.world.sessions().len()), (entries + 1, 0));

    verify_email(stage.mail(), &stage.nobody(), &link).await.unwrap();
    stage.log_in("asha").await;
}

#[tokio::test]
async fn each_log_in_is_a_session_of_its_own() {
    let stage = Stage::new();
    stage.register("asha").await;
    let (one, two) = (stage.log_in("asha").await, stage.log_in("asha").await);
    assert_ne!(one.claims.session, two.claims.session);
    assert_ne!(one.refresh_token, two.refresh_token);
    assert!(stage.caller(&one).await.is_some() && stage.caller(&two).await.is_some());
}
