//! The second factor: set up, shown, guessed at, replaced, removed.

use crate::*;
use amrutam_identity::{
    FactorError, SECOND_FACTOR_CHANGED, SecondFactorError, StepUpError,
    model::{Assurance, Delayed, MAX_TRIES},
    ports::FactorStore,
    use_cases::{
        Deactivate, RemoveTotp, deactivate, end_factor, list_sessions, regenerate_recovery_codes, remove_totp, step_up,
        who_am_i,
    },
};
use amrutam_kernel::{Denial, SecondFactor};

fn wrong() -> TypedFactor {
    // Six characters that no authenticator shows.
    TypedFactor::Code(secret("abcdef"))
}

#[tokio::test]
async fn a_role_that_needs_a_factor_can_only_set_one_up_until_it_has_one() {
    let stage = Stage::new();
    let id = stage.person(Role::Doctor, "vaidya").await;
    let tokens = stage.log_in("vaidya").await;
    let context = stage.signed_in(&tokens).await;
    assert_eq!(context.sign_in.unwrap().second_factor, SecondFactor::Missing);
    let refused = who_am_i(stage.core(), &context).await;
    assert!(matches!(refused, Err(amrutam_identity::AccountError::Denied(Denial::SecondFactorRequired))));
    stage.assert_last_entry("account.read", Some(id), Outcome::Denied);

    let (factor, codes) = stage.enrol(&tokens).await;
    assert_eq!(stage.announced_types(), [SECOND_FACTOR_CHANGED]);
    assert_eq!(codes.0.len(), 10);
    // The session that set it up has shown it, and the gate knows at once.
    let context = stage.signed_in(&tokens).await;
    assert_eq!(context.sign_in.unwrap().second_factor, SecondFactor::Enrolled);
    assert_eq!(context.sign_in.unwrap().second_factor_at, Some(stage.now()));
    who_am_i(stage.core(), &context).await.unwrap();

    let tokens = stage.log_in_with("vaidya", &factor).await;
    assert_eq!(tokens.claims.assurance, Assurance::TwoFactors);
    who_am_i(stage.core(), &stage.signed_in(&tokens).await).await.unwrap();
}

#[tokio::test]
async fn a_patient_may_have_one_and_need_not() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let tokens = stage.log_in("asha").await;
    let context = stage.signed_in(&tokens).await;
    assert_eq!(context.sign_in.unwrap().second_factor, SecondFactor::NotNeeded);
    let begun = begin_totp(stage.deps(), &context).await.unwrap();
    stage.assert_last_entry("factor.begin", Some(id), Outcome::Allowed);
    assert!(matches!(stage.try_log_in("asha", PASSWORD).await, Ok(LoggedIn::In(_))), "begun is not set up");
    let refused = confirm_totp(stage.deps(), &context, &secret("abcdef")).await;
    assert!(matches!(refused, Err(FactorError::InvalidCode)), "{refused:?}");
    stage.assert_last_entry("factor.confirm", Some(id), Outcome::Denied);
    assert!(matches!(stage.try_log_in("asha", PASSWORD).await, Ok(LoggedIn::In(_))));
    confirm_totp(stage.deps(), &context, &stage.shown(&begun)).await.unwrap();
    stage.assert_last_entry("factor.confirm", Some(id), Outcome::Allowed);
    let mfa_token = stage.first_step("asha").await;
    assert!(stage.tokens.verify_access(mfa_token.expose(), stage.now()).is_err(), "the first step is no log-in");
}

#[tokio::test]
async fn setting_up_is_finished_within_a_quarter_of_an_hour_with_the_newest_secret() {
    let stage = Stage::new();
    stage.register("asha").await;
    let tokens = stage.log_in("asha").await;
    let context = stage.signed_in(&tokens).await;
    let none = confirm_totp(stage.deps(), &context, &secret("123456")).await;
    assert!(matches!(none, Err(FactorError::NotBegun)), "{none:?}");
    let first = begin_totp(stage.deps(), &context).await.unwrap();
    let second = begin_totp(stage.deps(), &context).await.unwrap();
    assert_ne!(first.secret, second.secret);
    let replaced = confirm_totp(stage.deps(), &context, &stage.shown(&first)).await;
    assert!(matches!(replaced, Err(FactorError::InvalidCode)), "{replaced:?}");
    stage.wait(15 * 60);
    let late = confirm_totp(stage.deps(), &context, &stage.shown(&second)).await;
    assert!(matches!(late, Err(FactorError::NotBegun)), "{late:?}");
}

#[tokio::test]
async fn a_code_works_once_and_its_neighbours_do() {
    let stage = Stage::new();
    let (_, factor, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    let mfa_token = stage.first_step("vaidya").await;
    let again = stage.second_step(&mfa_token, stage.code(&factor)).await;
    assert!(matches!(again, Err(SecondFactorError::InvalidCode)), "the code of the last log-in: {again:?}");
    stage.wait(30);
    let code = stage.code(&factor);
    stage.wait(30);
    stage.second_step(&mfa_token, code.clone()).await.unwrap();
    stage.assert_last_entry("account.log_in", stage.last_entry().patient, Outcome::Allowed);
    let replayed = stage.second_step(&mfa_token, code).await;
    assert!(matches!(replayed, Err(SecondFactorError::InvalidCode)), "{replayed:?}");
    stage.wait(2);
    stage.second_step(&mfa_token, stage.code(&factor)).await.unwrap();
}

#[tokio::test]
async fn of_many_with_one_code_one_gets_in() {
    let stage = Arc::new(Stage::new());
    let (_, factor, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    let sessions = stage.world.sessions().len();
    let mfa_token = stage.first_step("vaidya").await;
    stage.wait(30);
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let (stage, mfa_token, code) = (stage.clone(), mfa_token.clone(), stage.code(&factor));
            tokio::spawn(async move { stage.second_step(&mfa_token, code).await.is_ok() })
        })
        .collect();
    let mut in_now = 0;
    for run in runs {
        in_now += usize::from(run.await.unwrap());
    }
    assert_eq!((in_now, stage.world.sessions().len()), (1, sessions + 1));
}

#[tokio::test]
async fn the_first_step_is_over_after_five_minutes_and_with_the_account() {
    let stage = Stage::new();
    let (id, factor, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    let refused = stage.second_step(&tokens.access_token, stage.code(&factor)).await;
    assert!(matches!(refused, Err(SecondFactorError::InvalidMfaToken)), "an access token: {refused:?}");
    let mfa_token = stage.first_step("vaidya").await;
    stage.wait(5 * 60);
    let late = stage.second_step(&mfa_token, stage.code(&factor)).await;
    assert!(matches!(late, Err(SecondFactorError::InvalidMfaToken)), "{late:?}");
    let mfa_token = stage.first_step("vaidya").await;
    deactivate(stage.deps(), &stage.operator(), Deactivate { account: id, password: None }).await.unwrap();
    let closed = stage.second_step(&mfa_token, stage.code(&factor)).await;
    assert!(matches!(closed, Err(SecondFactorError::InvalidMfaToken)), "{closed:?}");
}

#[tokio::test]
async fn a_recovery_code_stands_in_for_the_authenticator_once() {
    let stage = Stage::new();
    let id = stage.person(Role::Doctor, "vaidya").await;
    let (_, codes) = stage.enrol(&stage.log_in("vaidya").await).await;
    let mfa_token = stage.first_step("vaidya").await;
    let typed = TypedFactor::RecoveryCode(secret(&codes.0[3].expose().to_lowercase().replace('-', " ")));
    let tokens = stage.second_step(&mfa_token, typed.clone()).await.unwrap();
    assert_eq!(tokens.claims.assurance, Assurance::TwoFactors);
    let again = stage.second_step(&mfa_token, typed).await;
    assert!(matches!(again, Err(SecondFactorError::InvalidCode)), "{again:?}");
    stage.assert_last_entry("factor.use_recovery_code", Some(id), Outcome::Denied);
    assert_eq!(stage.world.factors(id).await.unwrap().recovery_codes_left, 9);
    let not_a_code = TypedFactor::Code(codes.0[4].clone());
    assert!(stage.second_step(&mfa_token, not_a_code).await.is_err(), "each in its own field");
}

/// Ten thousand wrong codes, as fast as they are looked at: at most twenty a day are, and the owner gets in the moment the
/// wait is over.
#[tokio::test]
async fn guessing_lets_nobody_in_and_locks_nobody_out() {
    let stage = Stage::new();
    let (id, factor, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    let (mut looked_at, sessions) = (Vec::new(), stage.world.sessions().len());
    for attempt in 0..10_000_i64 {
        let mfa_token = stage.first_step("vaidya").await;
        match stage.second_step(&mfa_token, wrong()).await {
            Err(SecondFactorError::InvalidCode) => looked_at.push(stage.now()),
            Err(SecondFactorError::Delayed(Delayed { until, .. })) => {
                assert!(until > stage.now() && until <= stage.now() + SignedDuration::from_hours(24));
            }
            other => panic!("{other:?}"),
        }
        stage.wait(1 + attempt % 97);
    }
    assert_eq!(stage.world.sessions().len(), sessions, "nobody got in");
    for (index, at) in looked_at.iter().enumerate() {
        let day =
            looked_at[..=index].iter().filter(|other| at.duration_since(**other) < SignedDuration::from_hours(24));
        assert!(day.count() <= MAX_TRIES);
    }
    assert!(looked_at.len() > 100, "{} were looked at in six days", looked_at.len());

    let mfa_token = stage.first_step("vaidya").await;
    let Err(SecondFactorError::Delayed(Delayed { until, .. })) =
        stage.second_step(&mfa_token, stage.code(&factor)).await
    else {
        panic!("even the right one waits");
    };
    stage.clock.set(until);
    let mfa_token = stage.first_step("vaidya").await;
    stage.second_step(&mfa_token, stage.code(&factor)).await.unwrap();
    stage.assert_last_entry("account.log_in", Some(id), Outcome::Allowed);
    let denied = |entry: &&AuditEntry| entry.action == "factor.show_code" && entry.outcome == Outcome::Denied;
    assert_eq!(stage.world.audit().iter().filter(denied).count(), looked_at.len());
}

#[tokio::test]
async fn a_wrong_password_costs_the_owner_no_try() {
    let stage = Stage::new();
    let (id, _, _) = stage.enrolled(Role::Doctor, "vaidya").await;
    for _ in 0..100 {
        assert!(stage.try_log_in("vaidya", "not the password").await.is_err());
    }
    assert_eq!(stage.world.factors(id).await.unwrap().tries.at, []);
}

#[tokio::test]
async fn all_ways_of_showing_a_code_share_their_tries_and_recovery_codes_have_none() {
    let stage = Stage::new();
    let (id, factor, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    let codes = regenerate_recovery_codes(stage.deps(), &stage.signed_in(&tokens).await).await.unwrap();
    stage.wait(30);
    let mfa_token = stage.first_step("vaidya").await;
    assert!(stage.second_step(&mfa_token, wrong()).await.is_err());
    let context = stage.signed_in(&tokens).await;
    let delayed = step_up(stage.deps(), &context, &stage.code(&factor)).await;
    assert!(matches!(delayed, Err(StepUpError::Delayed(_))), "{delayed:?}");
    let command = RemoveTotp { password: secret(PASSWORD), factor: stage.code(&factor) };
    let delayed = remove_totp(stage.deps(), &context, command).await;
    assert!(matches!(delayed, Err(FactorError::Delayed(_))), "{delayed:?}");
    let tries = stage.world.factors(id).await.unwrap().tries;
    assert_eq!(tries.at, [stage.now()]);
    let recovery = TypedFactor::RecoveryCode(secret("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"));
    let wrong = stage.second_step(&mfa_token, recovery).await;
    assert!(matches!(wrong, Err(SecondFactorError::InvalidCode)), "{wrong:?}");
    stage.assert_last_entry("factor.use_recovery_code", Some(id), Outcome::Denied);
    stage.second_step(&mfa_token, TypedFactor::RecoveryCode(codes.0[0].clone())).await.unwrap();
    assert_eq!(stage.world.factors(id).await.unwrap().tries, tries, "neither counts");
    stage.wait(1);
    step_up(stage.deps(), &context, &stage.code(&factor)).await.unwrap();
}

#[tokio::test]
async fn a_step_up_counts_for_five_minutes_in_its_session() {
    let stage = Stage::new();
    let (id, factor, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    stage.wait(5 * 60);
    let context = stage.signed_in(&tokens).await;
    let refused = regenerate_recovery_codes(stage.deps(), &context).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::StepUpRequired))), "{refused:?}");
    let refused = step_up(stage.deps(), &context, &wrong()).await;
    assert!(matches!(refused, Err(StepUpError::InvalidCode)), "{refused:?}");
    stage.wait(1);
    step_up(stage.deps(), &context, &stage.code(&factor)).await.unwrap();
    stage.assert_last_entry("session.step_up", Some(id), Outcome::Allowed);
    let other = stage.log_in_with("vaidya", &factor).await;
    // Known to the gate at once, and no longer than it counts.
    let codes = regenerate_recovery_codes(stage.deps(), &stage.signed_in(&tokens).await).await.unwrap();
    stage.assert_last_entry("factor.replace_recovery_codes", Some(id), Outcome::Allowed);
    stage.wait(5 * 60 - 30);
    let late = regenerate_recovery_codes(stage.deps(), &stage.signed_in(&tokens).await).await;
    assert!(matches!(late, Err(FactorError::Denied(Denial::StepUpRequired))), "{late:?}");
    let newer = regenerate_recovery_codes(stage.deps(), &stage.signed_in(&other).await).await.unwrap();

    let mfa_token = stage.first_step("vaidya").await;
    let old = stage.second_step(&mfa_token, TypedFactor::RecoveryCode(codes.0[0].clone())).await;
    assert!(old.is_err(), "replaced codes are void");
    stage.wait(2);
    stage.second_step(&mfa_token, TypedFactor::RecoveryCode(newer.0[0].clone())).await.unwrap();
}

#[tokio::test]
async fn a_factor_is_replaced_by_whoever_shows_it() {
    let stage = Stage::new();
    let (_, old, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    stage.wait(5 * 60);
    let refused = begin_totp(stage.deps(), &stage.signed_in(&tokens).await).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::StepUpRequired))), "{refused:?}");
    step_up(stage.deps(), &stage.signed_in(&tokens).await, &stage.code(&old)).await.unwrap();
    let context = stage.signed_in(&tokens).await;
    let new = begin_totp(stage.deps(), &context).await.unwrap();
    stage.log_in_with("vaidya", &old).await;
    confirm_totp(stage.deps(), &context, &stage.shown(&new)).await.unwrap();
    let mfa_token = stage.first_step("vaidya").await;
    stage.wait(60);
    assert!(stage.second_step(&mfa_token, stage.code(&old)).await.is_err());
    stage.wait(1);
    stage.second_step(&mfa_token, stage.code(&new)).await.unwrap();
}

/// The gate of another process may be seconds behind: a factor that was set up meanwhile still has to be shown.
#[tokio::test]
async fn a_session_that_does_not_know_of_the_factor_replaces_nothing() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (here, there) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let behind = stage.signed_in(&there).await;
    stage.enrol(&here).await;
    let refused = begin_totp(stage.deps(), &behind).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::StepUpRequired))), "{refused:?}");
    let refused = regenerate_recovery_codes(stage.deps(), &behind).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::StepUpRequired))), "{refused:?}");
    stage.assert_last_entry("factor.change", Some(id), Outcome::Denied);
    let known = stage.signed_in(&there).await;
    assert_eq!(known.sign_in.unwrap().second_factor, SecondFactor::Enrolled, "all sessions are told");
}

/// Whoever got in with the password alone gains nothing when its owner sets up a factor.
#[tokio::test]
async fn a_session_from_before_the_factor_must_show_it() {
    let stage = Stage::new();
    let id = stage.register("asha").await;
    let (here, there) = (stage.log_in("asha").await, stage.log_in("asha").await);
    let (factor, _) = stage.enrol(&here).await;
    who_am_i(stage.core(), &stage.signed_in(&here).await).await.unwrap();
    let context = stage.signed_in(&there).await;
    let refused = who_am_i(stage.core(), &context).await;
    assert!(matches!(refused, Err(amrutam_identity::AccountError::Denied(Denial::StepUpRequired))), "{refused:?}");
    stage.assert_last_entry("account.read", Some(id), Outcome::Denied);
    stage.wait(30);
    step_up(stage.deps(), &context, &stage.code(&factor)).await.unwrap();
    who_am_i(stage.core(), &stage.signed_in(&there).await).await.unwrap();
}

#[tokio::test]
async fn a_factor_is_removed_with_the_password_and_itself() {
    let stage = Stage::new();
    let (id, factor, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    stage.wait(10 * 60);
    let context = stage.signed_in(&tokens).await;
    let remove = |password, factor| RemoveTotp { password: secret(password), factor };
    let refused = remove_totp(stage.deps(), &context, remove("wrong", stage.code(&factor))).await;
    assert!(matches!(refused, Err(FactorError::WrongPassword)), "{refused:?}");
    let refused = remove_totp(stage.deps(), &context, remove(PASSWORD, wrong())).await;
    assert!(matches!(refused, Err(FactorError::InvalidCode)), "{refused:?}");
    stage.wait(1);
    stage.announced();
    remove_totp(stage.deps(), &context, remove(PASSWORD, stage.code(&factor))).await.unwrap();
    stage.assert_last_entry("factor.remove", Some(id), Outcome::Allowed);
    assert_eq!(stage.announced_types(), [SECOND_FACTOR_CHANGED]);
    let context = stage.signed_in(&tokens).await;
    assert_eq!(context.sign_in.unwrap().second_factor, SecondFactor::Missing, "the role asks for another one");
    assert!(list_sessions(stage.deps(), &context, first_page()).await.is_err());
    stage.log_in("vaidya").await;
    let (_, _) = stage.enrol(&tokens).await;
}

#[tokio::test]
async fn a_lost_factor_is_ended_by_whoever_looks_after_accounts() {
    let stage = Stage::new();
    let (id, _, tokens) = stage.enrolled(Role::Doctor, "vaidya").await;
    stage.register("ravi").await;
    let ravi = stage.signed_in(&stage.log_in("ravi").await).await;
    let refused = end_factor(stage.deps(), &ravi, id).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::Forbidden))), "{refused:?}");
    stage.assert_last_entry("factor.end", Some(id), Outcome::Denied);

    let (_, factor, help) = stage.enrolled(Role::Support, "help").await;
    stage.wait(5 * 60);
    let refused = end_factor(stage.deps(), &stage.signed_in(&help).await, id).await;
    assert!(matches!(refused, Err(FactorError::Denied(Denial::StepUpRequired))), "{refused:?}");
    step_up(stage.deps(), &stage.signed_in(&help).await, &stage.code(&factor)).await.unwrap();
    let context = stage.signed_in(&help).await;
    assert_eq!(stage.signed_in(&tokens).await.sign_in.unwrap().second_factor, SecondFactor::Enrolled);
    stage.announced();
    end_factor(stage.deps(), &context, id).await.unwrap();
    stage.assert_last_entry("factor.end", Some(id), Outcome::Allowed);
    let event = stage.announced().pop().unwrap();
    assert_eq!((event.event_type.as_str(), event.aggregate.id), (SECOND_FACTOR_CHANGED, id.as_uuid()));
    assert_eq!(stage.world.factors(id).await.unwrap().recovery_codes_left, 0);
    // Their sessions live and know at once.
    assert_eq!(stage.signed_in(&tokens).await.sign_in.unwrap().second_factor, SecondFactor::Missing);
    stage.log_in("vaidya").await;

    let again = end_factor(stage.deps(), &context, id).await;
    assert!(matches!(again, Err(FactorError::NotEnrolled)), "{again:?}");
    let nobody = AccountId::from_uuid(stage.ids.uuid_v7(stage.now()));
    let missing = end_factor(stage.deps(), &context, nobody).await;
    assert!(matches!(missing, Err(FactorError::Denied(Denial::Hidden))), "{missing:?}");
}

#[tokio::test]
async fn what_is_not_set_up_is_neither_shown_nor_changed() {
    let stage = Stage::new();
    stage.register("asha").await;
    let context = stage.signed_in(&stage.log_in("asha").await).await;
    assert!(matches!(step_up(stage.deps(), &context, &wrong()).await, Err(StepUpError::NotEnrolled)));
    assert!(matches!(regenerate_recovery_codes(stage.deps(), &context).await, Err(FactorError::NotEnrolled)));
    let command = RemoveTotp { password: secret(PASSWORD), factor: wrong() };
    assert!(matches!(remove_totp(stage.deps(), &context, command).await, Err(FactorError::NotEnrolled)));
    let nobody = stage.nobody();
    assert!(matches!(begin_totp(stage.deps(), &nobody).await, Err(FactorError::Denied(Denial::NotSignedIn))));
}
