//! Second factors.

use super::{Harness, stage::*};
use crate::{
    model::{ConfirmedFactor, Factors, SecretDigest, Step, Tries},
    ports::{Confirmed, Proof},
};
use amrutam_kernel::{AccountId, CommitError, Effects};

/// How many run a race.
const MANY: usize = 20;

async fn factors(harness: &dyn Harness, account: AccountId) -> Factors {
    harness.factors().factors(account).await.unwrap()
}

async fn redeem(harness: &dyn Harness, account: AccountId, proof: Proof) -> bool {
    harness.factors().redeem(account, &proof, harness.now(), &Effects::default()).await.unwrap()
}

fn digests(count: usize) -> Vec<SecretDigest> {
    (0..count).map(|_| digest()).collect()
}

/// Absence is no error.
pub async fn an_account_without_a_factor_has_none(harness: &dyn Harness) {
    let account = stored(harness).await;
    assert_eq!(factors(harness, account.id).await, Factors::default());
    assert_eq!(factors(harness, stranger()).await, Factors::default());
    assert!(!redeem(harness, account.id, Proof::Step(Step(1))).await);
    let none = harness.factors().remove(account.id, &effects(harness, account.id)).await;
    assert!(matches!(none, Err(CommitError::Stale)), "{none:?}");
    let none = harness.factors().replace_codes(account.id, &digests(1), &effects(harness, account.id)).await;
    assert!(matches!(none, Err(CommitError::Stale)), "{none:?}");
    assert_on_record(harness, account.id, &[]).await;
}

/// Pending first, in force with its first code: that code's step is used, the session has shown it.
pub async fn a_factor_comes_into_force(harness: &dyn Harness) {
    let (store, account) = (harness.factors(), stored(harness).await);
    let (session, _) = opened(harness, account.id).await;
    let (pending, begun) = (pending(minutes(harness, 1)), effects(harness, account.id));
    store.begin(account.id, &pending, &begun).await.unwrap();
    let expected = Factors { pending: Some(pending.clone()), ..Factors::default() };
    assert_eq!(factors(harness, account.id).await, expected);
    assert!(!redeem(harness, account.id, Proof::Step(Step(i64::from(u32::MAX)))).await, "a pending one shows nothing");

    let (codes, done, at) = (digests(10), effects(harness, account.id), minutes(harness, 2));
    let confirmed =
        Confirmed { begun_at: pending.begun_at, step: Step(59_000_000), at, codes: &codes, session: session.id };
    store.confirm(account.id, confirmed, &done).await.unwrap();
    let in_force = ConfirmedFactor { secret: pending.secret, confirmed_at: at, last_step: Step(59_000_000) };
    let expected = Factors { confirmed: Some(in_force), recovery_codes_left: 10, ..Factors::default() };
    assert_eq!(factors(harness, account.id).await, expected);
    assert_eq!(harness.sessions().by_id(session.id).await.unwrap().unwrap().second_factor_at, Some(at));
    assert_on_record(harness, account.id, &[&begun, &done]).await;

    let again = store.confirm(account.id, confirmed, &effects(harness, account.id)).await;
    assert!(matches!(again, Err(CommitError::Stale)), "{again:?}");
    assert_on_record(harness, account.id, &[&begun, &done]).await;
}

/// A code of a secret that is not pending any more brings nothing into force.
pub async fn only_the_pending_factor_is_confirmed(harness: &dyn Harness) {
    let (store, account) = (harness.factors(), stored(harness).await);
    let (session, _) = opened(harness, account.id).await;
    let (older, newer) = (pending(minutes(harness, 1)), pending(minutes(harness, 2)));
    for pending in [&older, &newer] {
        store.begin(account.id, pending, &Effects::default()).await.unwrap();
    }
    let codes = digests(2);
    let confirmed = Confirmed {
        begun_at: older.begun_at,
        step: Step(5),
        at: minutes(harness, 3),
        codes: &codes,
        session: session.id,
    };
    let stale = store.confirm(account.id, confirmed, &effects(harness, account.id)).await;
    assert!(matches!(stale, Err(CommitError::Stale)), "{stale:?}");
    let expected = Factors { pending: Some(newer), ..Factors::default() };
    assert_eq!(factors(harness, account.id).await, expected);
    assert_eq!(harness.sessions().by_id(session.id).await.unwrap(), Some(session));
    assert_on_record(harness, account.id, &[]).await;
}

/// It goes on working, with its codes, until the other one's first code.
pub async fn the_factor_in_force_stays_while_another_is_set_up(harness: &dyn Harness) {
    let (store, account, codes) = (harness.factors(), stored(harness).await, digests(3));
    let first = enrolled(harness, account.id, &codes).await;
    let pending = pending(minutes(harness, 1));
    store.begin(account.id, &pending, &Effects::default()).await.unwrap();
    assert!(redeem(harness, account.id, Proof::Step(Step(101))).await);
    assert!(redeem(harness, account.id, Proof::RecoveryCode(codes[0])).await);
    let now = factors(harness, account.id).await;
    assert_eq!(
        (now.confirmed.unwrap().secret, now.pending, now.recovery_codes_left),
        (first, Some(pending.clone()), 2)
    );

    let (session, others) = (opened(harness, account.id).await.0, digests(10));
    let at = minutes(harness, 2);
    let confirmed = Confirmed { begun_at: pending.begun_at, step: Step(7), at, codes: &others, session: session.id };
    store.confirm(account.id, confirmed, &Effects::default()).await.unwrap();
    let now = factors(harness, account.id).await;
    assert_eq!(now.confirmed.unwrap().secret, pending.secret);
    assert_eq!(now.recovery_codes_left, 10);
    assert!(!redeem(harness, account.id, Proof::RecoveryCode(codes[1])).await, "a code of the factor before");
    assert!(redeem(harness, account.id, Proof::Step(Step(8))).await, "its steps are counted anew");
}

/// Only after all that were accepted, whatever the order in which they are shown.
pub async fn a_step_is_accepted_once(harness: &dyn Harness) {
    let account = stored(harness).await;
    enrolled(harness, account.id, &[]).await;
    let mut before = Vec::new();
    for (step, accepted) in [(99, false), (100, false), (102, true), (102, false), (101, false), (103, true)] {
        let effects = effects(harness, account.id);
        let proof = Proof::Step(Step(step));
        let redeemed = harness.factors().redeem(account.id, &proof, harness.now(), &effects).await.unwrap();
        assert_eq!(redeemed, accepted, "step {step}");
        if accepted {
            before.push(effects);
        }
        assert_on_record(harness, account.id, &before.iter().collect::<Vec<_>>()).await;
    }
    assert_eq!(factors(harness, account.id).await.confirmed.unwrap().last_step, Step(103));
}

/// Many at once with one code: one gets in.
pub async fn one_proof_has_one_taker(harness: &dyn Harness) {
    let (account, codes) = (stored(harness).await, digests(1));
    enrolled(harness, account.id, &codes).await;
    for proof in [Proof::Step(Step(200)), Proof::RecoveryCode(codes[0])] {
        let runs = (0..MANY).map(|_| {
            let (store, effects, at) = (harness.factors(), effects(harness, account.id), harness.now());
            let account = account.id;
            async move { store.redeem(account, &proof, at, &effects).await.unwrap() }
        });
        let taken = race(harness, runs.collect()).await;
        assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1);
    }
    let (events, audit) = on_record(harness, account.id).await;
    assert_eq!((events.len(), audit.len()), (2, 2));
}

/// Each once, and its own account's only.
pub async fn a_recovery_code_works_once(harness: &dyn Harness) {
    let (account, other) = (stored(harness).await, stored(harness).await);
    let (codes, others) = (digests(3), digests(3));
    enrolled(harness, account.id, &codes).await;
    enrolled(harness, other.id, &others).await;
    assert!(!redeem(harness, account.id, Proof::RecoveryCode(others[0])).await);
    assert!(!redeem(harness, account.id, Proof::RecoveryCode(digest())).await);
    for (left, code) in [(2, codes[1]), (1, codes[0])] {
        assert!(redeem(harness, account.id, Proof::RecoveryCode(code)).await);
        assert!(!redeem(harness, account.id, Proof::RecoveryCode(code)).await);
        assert_eq!(factors(harness, account.id).await.recovery_codes_left, left);
    }
    assert_eq!(factors(harness, other.id).await.recovery_codes_left, 3);
}

/// All of the old ones are void, used or not.
pub async fn recovery_codes_are_replaced(harness: &dyn Harness) {
    let (account, old, new) = (stored(harness).await, digests(3), digests(2));
    enrolled(harness, account.id, &old).await;
    let effects = effects(harness, account.id);
    harness.factors().replace_codes(account.id, &new, &effects).await.unwrap();
    assert_on_record(harness, account.id, &[&effects]).await;
    assert_eq!(factors(harness, account.id).await.recovery_codes_left, 2);
    assert!(!redeem(harness, account.id, Proof::RecoveryCode(old[0])).await);
    assert!(redeem(harness, account.id, Proof::RecoveryCode(new[0])).await);
}

/// Of many at once one is on the books; the others have not been.
pub async fn tries_are_claimed_one_at_a_time(harness: &dyn Harness) {
    let (store, account) = (harness.factors(), stored(harness).await);
    enrolled(harness, account.id, &[]).await;
    let first = Tries::default().claim(minutes(harness, 1)).unwrap();
    let runs = (0..MANY).map(|_| {
        let (store, account, tries) = (harness.factors(), account.id, first.clone());
        async move { store.claim_try(account, &tries).await.unwrap() }
    });
    let claimed = race(harness, runs.collect()).await;
    assert_eq!(claimed.into_iter().filter(|claimed| *claimed).count(), 1);
    assert_eq!(factors(harness, account.id).await.tries, first);

    let second = first.claim(minutes(harness, 2)).unwrap();
    assert!(store.claim_try(account.id, &second).await.unwrap());
    assert!(!store.claim_try(account.id, &second).await.unwrap());
    assert_eq!(factors(harness, account.id).await.tries, second);
    let other = stored(harness).await;
    assert!(store.claim_try(other.id, &first).await.unwrap(), "tries are each account's own, factor or not");
}

/// The wrong ones before it stay; what is refused takes nothing back, and a recovery code has made no try.
pub async fn an_accepted_proof_takes_its_try_back(harness: &dyn Harness) {
    let (store, account, codes) = (harness.factors(), stored(harness).await, digests(1));
    enrolled(harness, account.id, &codes).await;
    let first = Tries::default().claim(minutes(harness, 1)).unwrap();
    let second = first.claim(minutes(harness, 2)).unwrap();
    for tries in [&first, &second] {
        assert!(store.claim_try(account.id, tries).await.unwrap());
    }
    let (refused, accepted, at) = (Proof::Step(Step(1)), Proof::Step(Step(101)), minutes(harness, 2));
    assert!(!store.redeem(account.id, &refused, at, &Effects::default()).await.unwrap());
    assert_eq!(factors(harness, account.id).await.tries, second);
    let recovery = Proof::RecoveryCode(codes[0]);
    assert!(store.redeem(account.id, &recovery, at, &Effects::default()).await.unwrap());
    assert_eq!(factors(harness, account.id).await.tries, second);
    assert!(store.redeem(account.id, &accepted, at, &Effects::default()).await.unwrap());
    assert_eq!(factors(harness, account.id).await.tries, second.without(at));
}

/// With its codes and a pending one; the tries stay, so that setting one up anew gains nobody tries.
pub async fn a_removed_factor_is_gone(harness: &dyn Harness) {
    let (store, account, codes) = (harness.factors(), stored(harness).await, digests(2));
    enrolled(harness, account.id, &codes).await;
    store.begin(account.id, &pending(harness.now()), &Effects::default()).await.unwrap();
    let tries = Tries::default().claim(minutes(harness, 1)).unwrap();
    assert!(store.claim_try(account.id, &tries).await.unwrap());
    let effects = effects(harness, account.id);
    store.remove(account.id, &effects).await.unwrap();
    assert_on_record(harness, account.id, &[&effects]).await;
    assert_eq!(factors(harness, account.id).await, Factors { tries, ..Factors::default() });
    assert!(!redeem(harness, account.id, Proof::Step(Step(500))).await);
    assert!(!redeem(harness, account.id, Proof::RecoveryCode(codes[0])).await);
}
