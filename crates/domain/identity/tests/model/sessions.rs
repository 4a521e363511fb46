//! Sessions, links, rules.

use crate::start;
use amrutam_identity::model::{Assurance, EndReason, IdentityRules, Link, Session, SessionLabel, SessionState};
use amrutam_kernel::{AccountId, LinkId, LinkPurpose, Role, SecondFactor, SessionId};
use amrutam_memory::FakeLinks;
use jiff::SignedDuration;
use proptest::prelude::*;
use uuid::Uuid;

fn session() -> Session {
    let (id, account) = (SessionId::from_uuid(Uuid::nil()), AccountId::from_uuid(Uuid::max()));
    Session::open(id, account, None, SessionLabel::new("a browser"), start())
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

#[test]
fn an_unused_session_ends_after_30_days_and_a_used_one_after_90() {
    let moment = SignedDuration::from_micros(1);
    let mut session = session();
    assert!(session.is_live(start()) && session.is_live(start() + days(30) - moment));
    assert!(!session.is_live(start() + days(30)));
    for used in [29, 58, 87] {
        assert!(session.is_live(start() + days(used)));
        session = session.used(start() + days(used));
    }
    assert!(session.is_live(start() + days(90) - moment));
    assert!(!session.is_live(start() + days(90)));
    let ended = Session { ended: Some((start(), EndReason::LoggedOut)), ..session };
    assert!(!ended.is_live(start()));
}

proptest! {
    #[test]
    fn use_never_shortens_a_session_nor_moves_its_end(hours in proptest::collection::vec(0_i64..1000, 0..20)) {
        let (mut session, mut now) = (session(), start());
        let end = session.expires_at;
        for hours in hours {
            now += SignedDuration::from_hours(hours);
            if !session.is_live(now) {
                break;
            }
            let before = session.idle_expires_at;
            session = session.used(now);
            prop_assert!(session.is_live(now) && session.last_used_at == now);
            prop_assert!(session.idle_expires_at >= before && session.idle_expires_at <= end);
            prop_assert_eq!(session.expires_at, end);
        }
    }

    #[test]
    fn a_label_is_one_short_line(text in any::<String>()) {
        let label = SessionLabel::new(&text);
        prop_assert!(label.as_str().chars().count() <= 200);
        prop_assert!(!label.as_str().chars().any(char::is_control));
        let again = SessionLabel::new(label.as_str());
        prop_assert_eq!(again, label, "stored and read back it is the same");
    }
}

#[test]
fn the_methods_in_a_token_are_ours_or_none() {
    for assurance in [Assurance::Password, Assurance::TwoFactors] {
        assert_eq!(Assurance::from_amr(assurance.amr()), Some(assurance));
    }
    let none: [&str; 0] = [];
    assert_eq!(Assurance::from_amr(&none), None);
    for amr in [&["otp"][..], &["pwd", "otp"], &["pwd", "mfa", "otp"], &["PWD"], &["pwd", "pwd"]] {
        assert_eq!(Assurance::from_amr(amr), None, "{amr:?}");
    }
    assert_eq!(session().assurance(), Assurance::Password);
    assert_eq!(Session { second_factor_at: Some(start()), ..session() }.assurance(), Assurance::TwoFactors);
}

#[test]
fn whoever_must_have_a_factor_has_it_or_misses_it() {
    let rules = IdentityRules::default();
    for (role, without) in [
        (Role::Patient, SecondFactor::NotNeeded),
        (Role::Doctor, SecondFactor::Missing),
        (Role::Admin, SecondFactor::Missing),
        (Role::Auditor, SecondFactor::Missing),
        (Role::Support, SecondFactor::Missing),
    ] {
        let state = |enrolled| SessionState {
            account: AccountId::from_uuid(Uuid::nil()),
            role,
            ended: false,
            second_factor_at: Some(start()),
            enrolled,
        };
        let sign_in = |enrolled| state(enrolled).sign_in(SessionId::from_uuid(Uuid::nil()), &rules);
        assert_eq!(sign_in(false).second_factor, without, "{role}");
        assert_eq!(sign_in(true).second_factor, SecondFactor::Enrolled, "{role}");
        assert_eq!(sign_in(true).second_factor_at, Some(start()));
        let nobody = IdentityRules { mfa_required_roles: vec![], ..rules.clone() };
        assert_eq!(nobody.second_factor(role, false), SecondFactor::NotNeeded);
    }
}

#[test]
fn a_link_works_until_it_is_spent_or_over() {
    let tokens = FakeLinks::new("key");
    for (purpose, minutes) in
        [(LinkPurpose::VerifyEmail, 24 * 60), (LinkPurpose::ResetPassword, 30), (LinkPurpose::Invitation, 7 * 24 * 60)]
    {
        let link =
            Link::new(&tokens, LinkId::from_uuid(Uuid::nil()), purpose, AccountId::from_uuid(Uuid::nil()), start());
        let end = start() + SignedDuration::from_mins(minutes);
        assert!(link.works(start()) && link.works(end - SignedDuration::from_micros(1)), "{purpose}");
        assert!(!link.works(end), "{purpose}");
        assert!(!Link { spent_at: Some(start()), ..link }.works(start()));
    }
}
