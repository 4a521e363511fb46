//! Registration, verification, invitations' links: what mails lead to.

use crate::*;
use amrutam_identity::{
    EMAIL_VERIFICATION_REQUESTED, REGISTRATION_REPEATED, RegisterError, VerifyEmailError,
    model::InvalidPassword,
    ports::AccountStore,
    use_cases::{forget_password, request_verification, reset_password, verify_email, who_am_i},
};

async fn verified(stage: &Stage, id: AccountId) -> bool {
    AccountStore::by_id(&*stage.world, id).await.unwrap().undisclosed().unwrap().email_verified_at.is_some()
}

#[tokio::test]
async fn a_new_account_may_be_used_at_once_and_is_verified_by_its_link() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    stage.assert_last_entry("account.register", Some(id), Outcome::Allowed);
    let token = stage.mailed(LinkPurpose::VerifyEmail);
    let context = stage.signed_in(&stage.log_in("asha").await).await;
    assert_eq!(who_am_i(stage.core(), &context).await.unwrap().email_verified_at, None);

    stage.wait(60);
    verify_email(stage.mail(), &stage.nobody(), &token).await.unwrap();
    stage.assert_last_entry("account.verify_email", Some(id), Outcome::Allowed);
    let account = who_am_i(stage.core(), &context).await.unwrap();
    assert_eq!((account.email_verified_at, account.version), (Some(stage.now()), 2));

    let again = verify_email(stage.mail(), &stage.nobody(), &token).await;
    assert!(matches!(again, Err(VerifyEmailError::InvalidLink)));
    stage.assert_last_entry("account.verify_email", None, Outcome::Denied);
}

#[tokio::test]
async fn a_known_address_is_answered_like_a_new_one_and_its_owner_is_told() {
    let stage = Stage::new();
    let owner = stage.register("asha").await;
    let verification = stage.announced();
    assert_eq!(verification[0].event_type, EMAIL_VERIFICATION_REQUESTED);

    let second = stage.register("asha").await;
    assert_ne!(second, owner);
    let events = stage.announced();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, REGISTRATION_REPEATED);
    assert_eq!(events[0].payload, serde_json::json!({ "account_id": owner }));
    stage.assert_last_entry("account.register", Some(owner), Outcome::Denied);
    assert_eq!(stage.world.accounts().len(), 1);
    assert_eq!(stage.world.links().len(), 1);
    assert_eq!(stage.pause.pauses(), [std::time::Duration::from_millis(25); 2], "neither is answered sooner");
}

#[tokio::test]
async fn a_password_that_is_guessed_is_refused_before_anything_is_looked_up() {
    let stage = Stage::new();
    stage.register("asha").await;
    let before = stage.world.audit().len();
    for name in ["asha", "ravi"] {
        for guessed in ["password1", "Somebody Special", "amrutam1"] {
            let command = Register { email: email(name), password: new(guessed), profile: profile() };
            let refused = register(stage.mail(), &stage.nobody(), command).await;
            assert!(matches!(refused, Err(RegisterError::Password(InvalidPassword::Guessable))), "{name} {guessed}");
        }
    }
    assert_eq!((stage.world.accounts().len(), stage.world.audit().len()), (1, before));
}

#[tokio::test]
async fn a_link_is_good_for_its_own_purpose_only() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let verifies = stage.mailed(LinkPurpose::VerifyEmail);
    let refused = reset_password(stage.mail(), &stage.nobody(), &verifies, &new(OTHER_PASSWORD)).await;
    assert!(refused.is_err(), "a link that verifies sets no password");
    verify_email(stage.mail(), &stage.nobody(), &verifies).await.unwrap();
    forget_password(stage.mail(), &stage.nobody(), Some(&email("asha"))).await.unwrap();
    let resets = stage.mailed(LinkPurpose::ResetPassword);
    assert!(verify_email(stage.mail(), &stage.nobody(), &resets).await.is_err());
    for garbage in ["", "x", &"A".repeat(64), &"\u{20b9}".repeat(10_000)] {
        assert!(verify_email(stage.mail(), &stage.nobody(), &secret(garbage)).await.is_err());
    }
    assert!(verified(&stage, id).await);
    stage.log_in("asha").await;
}

#[tokio::test]
async fn a_link_that_is_over_verifies_nothing() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let token = stage.mailed(LinkPurpose::VerifyEmail);
    stage.wait(24 * 3600);
    assert!(verify_email(stage.mail(), &stage.nobody(), &token).await.is_err());
    assert!(!verified(&stage, id).await);

    let context = stage.signed_in(&stage.log_in("asha").await).await;
    request_verification(stage.mail(), &context).await.unwrap();
    stage.assert_last_entry("account.request_verification", Some(id), Outcome::Allowed);
    let first = stage.mailed(LinkPurpose::VerifyEmail);
    request_verification(stage.mail(), &context).await.unwrap();
    let second = stage.mailed(LinkPurpose::VerifyEmail);
    assert!(verify_email(stage.mail(), &stage.nobody(), &first).await.is_err(), "only the newest works");
    stage.wait(24 * 3600 - 1);
    verify_email(stage.mail(), &stage.nobody(), &second).await.unwrap();
    assert!(verified(&stage, id).await);
    request_verification(stage.mail(), &stage.signed_in(&stage.log_in("asha").await).await).await.unwrap();
    assert_eq!(stage.announced_types(), Vec::<String>::new(), "what is verified is not asked for again");
}

/// Every event and audit entry of a whole life, searched for whatever must not be in it.
#[tokio::test]
async fn no_secret_and_nothing_about_a_person_is_announced_or_recorded() {
    let stage = Stage::new();
    let id = stage.register("canaryaddress").await;
    let mut secrets =
        vec!["canaryaddress".to_owned(), "Somebody".to_owned(), PASSWORD.to_owned(), OTHER_PASSWORD.to_owned()];
    let events = stage.world.outbox();
    let link: LinkId = events[0].payload["link_id"].as_str().unwrap().parse().unwrap();
    let token = stage.links.token(LinkPurpose::VerifyEmail, link);
    // The id is in the event and in the token; what makes a token one is the rest of it.
    secrets.push(token.expose()[22..].to_owned());
    verify_email(stage.mail(), &stage.nobody(), &token).await.unwrap();
    let tokens = stage.log_in("canaryaddress").await;
    let (factor, codes) = stage.enrol(&tokens).await;
    secrets.extend([factor.secret.expose().clone(), tokens.refresh_token.expose().clone()]);
    secrets.extend(codes.0.iter().map(|code| code.expose().clone()));
    let wrong = stage.try_log_in("canaryaddress", OTHER_PASSWORD).await;
    assert!(wrong.is_err());
    stage.log_in_with("canaryaddress", &factor).await;
    forget_password(stage.mail(), &stage.nobody(), Some(&email("canaryaddress"))).await.unwrap();

    let events = stage.world.outbox();
    assert_eq!(events.len(), 3);
    let all = format!("{} {:?}", serde_json::to_string(&events).unwrap(), stage.world.audit());
    for secret in secrets {
        assert!(!all.contains(&secret), "{secret}");
    }
    assert!(all.contains(&id.to_string()));
}
